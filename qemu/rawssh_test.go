package qemu

import (
	"bufio"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

// rawSSH is an SSH client that says whatever a test wants it to, message by message: no proper client changes its user
// name between two attempts to log in. It speaks one set of algorithms (curve25519-sha256, aes128-ctr, hmac-sha2-256)
// and does not verify the host key. RFC 4253, RFC 4252, RFC 8731.
type rawSSH struct {
	conn     net.Conn
	in       *bufio.Reader
	session  []byte
	out, inc direction
}

// direction is one half of an encrypted connection.
type direction struct {
	stream   cipher.Stream
	mac      hash.Hash
	sequence uint32
}

const (
	msgKexInit        = 20
	msgNewKeys        = 21
	msgKexECDHInit    = 30
	msgKexECDHReply   = 31
	msgServiceRequest = 5
	msgServiceAccept  = 6
	msgUserauth       = 50
	msgUserauthFailed = 51
	msgUserauthOK     = 52
	msgChannelOpen    = 90
	msgChannelConfirm = 91
	msgChannelRequest = 98
	msgChannelData    = 94
	msgDisconnect     = 1
)

// dialRawSSH connects, exchanges keys and asks for the user authentication service.
func dialRawSSH(address string, limit time.Duration) (*rawSSH, error) {
	conn, err := net.DialTimeout("tcp", address, limit)
	if err != nil {
		return nil, err
	}
	c := &rawSSH{conn: conn, in: bufio.NewReader(conn)}
	err = conn.SetDeadline(time.Now().Add(limit))
	if err == nil {
		err = c.handshake()
	}
	if err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("handshake: %w", err)
	}
	return c, nil
}

func (c *rawSSH) handshake() error {
	const ours = "SSH-2.0-Rotunda_test"
	if _, err := io.WriteString(c.conn, ours+"\r\n"); err != nil {
		return err
	}
	theirs, err := c.in.ReadString('\n')
	if err != nil {
		return err
	}
	theirs = strings.TrimRight(theirs, "\r\n")

	ourInit := append([]byte{msgKexInit}, make([]byte, 16)...)
	for _, list := range []string{"curve25519-sha256", "ssh-ed25519,rsa-sha2-256,ecdsa-sha2-nistp256",
		"aes128-ctr", "aes128-ctr", "hmac-sha2-256", "hmac-sha2-256", "none", "none", "", ""} {
		ourInit = appendString(ourInit, list)
	}
	ourInit = append(ourInit, 0, 0, 0, 0, 0)
	if err := c.send(ourInit); err != nil {
		return err
	}
	theirInit, err := c.await(msgKexInit)
	if err != nil {
		return err
	}

	key, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	public := key.PublicKey().Bytes()
	if err := c.send(appendString([]byte{msgKexECDHInit}, string(public))); err != nil {
		return err
	}
	reply, err := c.await(msgKexECDHReply)
	if err != nil {
		return err
	}
	var r struct{ HostKey, Public, Signature []byte }
	if err := ssh.Unmarshal(reply[1:], &r); err != nil {
		return err
	}
	peer, err := ecdh.X25519().NewPublicKey(r.Public)
	if err != nil {
		return err
	}
	secret, err := key.ECDH(peer)
	if err != nil {
		return err
	}

	shared := appendMPInt(nil, secret)
	var exchange []byte
	for _, s := range []string{ours, theirs, string(ourInit), string(theirInit), string(r.HostKey), string(public), string(r.Public)} {
		exchange = appendString(exchange, s)
	}
	sum := sha256.Sum256(append(exchange, shared...))
	c.session = sum[:]
	derive := func(letter byte, size int) []byte {
		h := sha256.New()
		h.Write(shared)
		h.Write(sum[:])
		h.Write([]byte{letter})
		h.Write(c.session)
		return h.Sum(nil)[:size]
	}
	if err := c.send([]byte{msgNewKeys}); err != nil {
		return err
	}
	if c.out, err = newDirection(derive('A', 16), derive('C', 16), derive('E', 32), c.out.sequence); err != nil {
		return err
	}
	if _, err := c.await(msgNewKeys); err != nil {
		return err
	}
	if c.inc, err = newDirection(derive('B', 16), derive('D', 16), derive('F', 32), c.inc.sequence); err != nil {
		return err
	}
	if err := c.send(appendString([]byte{msgServiceRequest}, "ssh-userauth")); err != nil {
		return err
	}
	_, err = c.await(msgServiceAccept)
	return err
}

func newDirection(iv, key, mac []byte, sequence uint32) (direction, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return direction{}, err
	}
	return direction{cipher.NewCTR(block, iv), hmac.New(sha256.New, mac), sequence}, nil
}

// send writes one packet (RFC 4253 section 6).
func (c *rawSSH) send(payload []byte) error {
	const block = 16
	padding := block - (5+len(payload))%block
	if padding < 4 {
		padding += block
	}
	packet := binary.BigEndian.AppendUint32(nil, uint32(1+len(payload)+padding))
	packet = append(packet, byte(padding))
	packet = append(append(packet, payload...), make([]byte, padding)...)
	if c.out.stream != nil {
		mac := c.out.sum(packet)
		c.out.stream.XORKeyStream(packet, packet)
		packet = append(packet, mac...)
	}
	c.out.sequence++
	_, err := c.conn.Write(packet)
	return err
}

func (d *direction) sum(packet []byte) []byte {
	d.mac.Reset()
	var number [4]byte
	binary.BigEndian.PutUint32(number[:], d.sequence)
	d.mac.Write(number[:])
	d.mac.Write(packet)
	return d.mac.Sum(nil)
}

// receive reads one packet.
func (c *rawSSH) receive() ([]byte, error) {
	head := make([]byte, 4)
	if _, err := io.ReadFull(c.in, head); err != nil {
		return nil, err
	}
	if c.inc.stream != nil {
		c.inc.stream.XORKeyStream(head, head)
	}
	length := binary.BigEndian.Uint32(head)
	if length < 2 || length > 1<<18 {
		return nil, fmt.Errorf("packet of %d bytes", length)
	}
	body := make([]byte, length)
	if _, err := io.ReadFull(c.in, body); err != nil {
		return nil, err
	}
	if c.inc.stream != nil {
		c.inc.stream.XORKeyStream(body, body)
		mac := make([]byte, sha256.Size)
		if _, err := io.ReadFull(c.in, mac); err != nil {
			return nil, err
		}
		if !hmac.Equal(mac, c.inc.sum(append(head, body...))) {
			return nil, errors.New("wrong MAC")
		}
	}
	c.inc.sequence++
	if padding := uint32(body[0]); padding+2 <= length {
		return body[1 : length-padding], nil
	}
	return nil, errors.New("impossible padding")
}

// errDisconnected is what a server that has had enough causes.
var errDisconnected = errors.New("the server disconnected")

// await returns the next message of a kind; global requests, extension info, banners and the like are skipped.
func (c *rawSSH) await(kinds ...byte) ([]byte, error) {
	for {
		p, err := c.receive()
		if err != nil {
			return nil, err
		}
		if p[0] == msgDisconnect {
			return nil, errDisconnected
		}
		for _, k := range kinds {
			if p[0] == k {
				return p, nil
			}
		}
	}
}

// tryPassword makes one attempt to log in (RFC 4252 section 8).
func (c *rawSSH) tryPassword(user, password string) (bool, error) {
	p := appendString([]byte{msgUserauth}, user)
	p = appendString(p, "ssh-connection")
	p = appendString(p, "password")
	p = appendString(append(p, 0), password)
	if err := c.send(p); err != nil {
		return false, err
	}
	answer, err := c.await(msgUserauthOK, msgUserauthFailed)
	return err == nil && answer[0] == msgUserauthOK, err
}

// run executes one command in a session and returns the first data that it prints (RFC 4254).
func (c *rawSSH) run(command string) (string, error) {
	open := appendString([]byte{msgChannelOpen}, "session")
	open = binary.BigEndian.AppendUint32(open, 0)
	open = binary.BigEndian.AppendUint32(open, 1<<20)
	open = binary.BigEndian.AppendUint32(open, 1<<15)
	if err := c.send(open); err != nil {
		return "", err
	}
	confirm, err := c.await(msgChannelConfirm)
	if err != nil {
		return "", err
	}
	request := append([]byte{msgChannelRequest}, confirm[5:9]...)
	request = appendString(request, "exec")
	request = appendString(append(request, 0), command)
	if err := c.send(request); err != nil {
		return "", err
	}
	data, err := c.await(msgChannelData)
	if err != nil {
		return "", err
	}
	return string(data[9:]), nil
}

func (c *rawSSH) close() { _ = c.conn.Close() }

func appendString(b []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint32(b, uint32(len(s))), s...)
}

// appendMPInt appends a positive integer (RFC 4251 section 5).
func appendMPInt(b, n []byte) []byte {
	for len(n) > 0 && n[0] == 0 {
		n = n[1:]
	}
	if len(n) > 0 && n[0] >= 0x80 {
		n = append([]byte{0}, n...)
	}
	return appendString(b, string(n))
}

// TestRawClientLogsInAsTwoUsers tries the raw client on a server that accepts the second user only.
func TestRawClientLogsInAsTwoUsers(t *testing.T) {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	served := make(chan error, 1)
	go func() { served <- serveOneLogin(listener) }()

	c, err := dialRawSSH(listener.Addr().String(), 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	for _, try := range []struct {
		user string
		want bool
	}{{"alice", false}, {"bob", true}} {
		if got, err := c.tryPassword(try.user, "secret"); err != nil || got != try.want {
			t.Fatalf("login as %s: got %v, %v, want %v", try.user, got, err, try.want)
		}
	}
	if got, err := c.run("whoami"); err != nil || got != "bob" {
		t.Errorf("whoami: got %q, %v, want bob", got, err)
	}
	c.close()
	if err := <-served; err != nil {
		t.Error(err)
	}
}

func serveOneLogin(listener net.Listener) error {
	conn, err := listener.Accept()
	if err != nil {
		return err
	}
	hostKey, err := newHostKey()
	if err != nil {
		return err
	}
	config := &ssh.ServerConfig{PasswordCallback: func(meta ssh.ConnMetadata, _ []byte) (*ssh.Permissions, error) {
		if meta.User() != "bob" {
			return nil, errors.New("no")
		}
		return nil, nil
	}}
	config.AddHostKey(hostKey)
	server, channels, requests, err := ssh.NewServerConn(conn, config)
	if err != nil {
		return err
	}
	go ssh.DiscardRequests(requests)
	for c := range channels {
		channel, requests, err := c.Accept()
		if err != nil {
			return err
		}
		<-requests
		if _, err := io.WriteString(channel, server.User()); err != nil {
			return err
		}
	}
	return nil
}

func newHostKey() (ssh.Signer, error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	return ssh.NewSignerFromKey(private)
}
