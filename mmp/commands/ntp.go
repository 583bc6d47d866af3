package commands

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"rotunda/init/config"
	"rotunda/init/control"
	"rotunda/mmp/grammar"
)

// ntpCommands say how the clock is kept (guide chapter 3.1.5).
func (d Deps) ntpCommands() []grammar.Command {
	return []grammar.Command{
		{
			Syntax: "ntp", Roles: readers,
			Help:   "List the NTP servers",
			Detail: "Where none is set, those count that interfaces with DHCP were given.",
			Run:    d.listNTP,
		},
		{
			Syntax: "ntp server list", Roles: readers,
			Help: "List the NTP servers",
			Run:  d.listNTP,
		},
		{
			Syntax: "ntp server add <host> [<key:1..65535>]", Roles: admins, Joins: true,
			Help: "Keep the clock with an NTP server",
			Detail: "For example ntp server add ntp1.example.com. Three or more find out one that is wrong. A key is the number of one in the file of ntp groupkey, by which the server's " +
				"answers are signed.",
			Run: func(c *grammar.Call) error {
				return d.changeNTP(c, func(n *config.NTP) error {
					s := config.NTPServer{Host: c.Arg("host")}
					if c.Has("key") {
						s.Key = c.Int("key")
					}
					if i := slices.IndexFunc(n.Servers, sameServer(s.Host)); i >= 0 {
						if was := n.Servers[i]; was.Key != s.Key {
							return fmt.Errorf("NTP server %s is there already %s, not %s: use ntp server del %[1]s first", was.Host, keyed(was), keyed(s))
						}
						return isThere("NTP server %s is there already", n.Servers[i].Host)
					}
					n.Servers = append(n.Servers, s)
					return d.hasNTPKeys(*n, s)
				})
			},
		},
		{
			Syntax: "ntp server del <host>", Roles: admins, Joins: true,
			Help: "Ask an NTP server no more",
			Run: func(c *grammar.Call) error {
				return d.changeNTP(c, func(n *config.NTP) error {
					i := slices.IndexFunc(n.Servers, sameServer(c.Arg("host")))
					if i < 0 {
						return fmt.Errorf("there is no NTP server %s; there are %s", c.Arg("host"), listOf(n.Servers, func(s config.NTPServer) string { return s.Host }))
					}
					n.Servers = slices.Delete(n.Servers, i, i+1)
					return nil
				})
			},
		},
		{
			Syntax: "ntp groupkey (<file>|none)", Roles: cryptos,
			Help: "Choose the file of keys by which answers of NTP servers are signed",
			Detail: "For example ntp groupkey ntp.key; the file is put by SFTP. It has lines of a number, a type and a key, such as 7 SHA1 followed by 40 hexadecimal digits; types are " +
				"MD5, SHA1, SHA256, SHA512, AES128CMAC and AES256CMAC.",
			Run: func(c *grammar.Call) error {
				return d.changeNTP(c, func(n *config.NTP) error {
					n.Keys = c.Arg("file")
					if n.Keys == "" {
						return nil
					}
					if _, err := d.ntpKeys(n.Keys); err != nil {
						return err
					}
					return d.hasNTPKeys(*n, n.Servers...)
				})
			},
		},
		{
			Syntax: "ntp autokey (enable|disable)", Roles: admins,
			Help: "Autokey, which is not safe and which no server offers any more, stays off",
			Run: func(c *grammar.Call) error {
				if c.Has("enable") {
					return errors.New("autokey is broken by design (RFC 8633 section 3.5) and not supported: use ntp groupkey with symmetric keys")
				}
				return nil
			},
		},
		{
			Syntax: "ntp status", Roles: readers,
			Help:   "Show how the clock is kept, and what each NTP server says",
			Detail: "Reach is in octal: a bit for each of the last eight questions, the newest on the right; 377 is all answered. Offset is what the clock is behind the server.",
			Run:    d.ntpStatus,
		},
	}
}

func sameServer(host string) func(config.NTPServer) bool {
	return func(s config.NTPServer) bool { return strings.EqualFold(s.Host, host) }
}

// keyed says by which key the answers of a server are signed.
func keyed(s config.NTPServer) string {
	if s.Key == 0 {
		return "without a key"
	}
	return fmt.Sprintf("with key %d", s.Key)
}

// ntpKeys reads a file of keys.
func (d Deps) ntpKeys(file string) (map[int]config.NTPKey, error) {
	text, err := d.readStored(file)
	if err != nil {
		return nil, err
	}
	return config.ParseNTPKeys(text)
}

// hasNTPKeys refuses servers whose key the file does not have: nothing that they say could be believed.
func (d Deps) hasNTPKeys(n config.NTP, servers ...config.NTPServer) error {
	servers = slices.DeleteFunc(slices.Clone(servers), func(s config.NTPServer) bool { return s.Key == 0 })
	if n.Keys == "" || len(servers) == 0 {
		return nil // keys without a file are refused with the rest of the configuration
	}
	keys, err := d.ntpKeys(n.Keys)
	if err != nil {
		return err
	}
	for _, s := range servers {
		if _, ok := keys[s.Key]; !ok {
			numbers := slices.Sorted(maps.Keys(keys))
			return fmt.Errorf("the file %s has no key %d, which NTP server %s needs; it has %s", n.Keys, s.Key, s.Host, listOf(numbers, strconv.Itoa))
		}
	}
	return nil
}

func (d Deps) changeNTP(c *grammar.Call, edit func(*config.NTP) error) error {
	return d.change(c, func(doc *config.Document) error {
		if err := edit(&doc.NTP); err != nil || !doc.FIPS.Enabled {
			return err
		}
		return d.approveNTPKeys(doc.NTP)
	})
}

func (d Deps) listNTP(c *grammar.Call) error {
	running, err := d.Machine.Config(c.Context)
	if err != nil {
		return err
	}
	for _, s := range running.Document.NTP.Servers {
		if s.Key != 0 {
			c.Printf("%s key %d\n", s.Host, s.Key)
			continue
		}
		c.Printf("%s\n", s.Host)
	}
	if n := running.Document.NTP; n.Keys != "" {
		c.Printf("keys: %s\n", n.Keys)
	}
	return nil
}

func (d Deps) ntpStatus(c *grammar.Call) error {
	var s control.TimeStatus
	err := control.ReadStatus(d.status(), control.TimeStatusFile, &s)
	if errors.Is(err, fs.ErrNotExist) {
		return errors.New("nothing keeps the clock yet: health says why, or wait a moment")
	}
	if err != nil {
		return fmt.Errorf("read how the clock is kept: %w", err)
	}
	state := "not synchronized"
	if s.Synchronized {
		state = fmt.Sprintf("synchronized, offset %s, at most %s wrong", signed(s.Offset), milliseconds(s.Within))
	}
	c.Printf("Status : %s\n", state)
	if s.Problem != "" {
		c.Printf("Problem : %s\n", printable(s.Problem))
	}
	if len(s.Servers) == 0 {
		c.Printf("There is no NTP server: use ntp server add <host>\n")
		return nil
	}
	rows := [][]string{{"SERVER", "ADDRESS", "STATE", "STRATUM", "REACH", "OFFSET", "DELAY", "LAST"}}
	for _, o := range s.Servers {
		row := []string{printable(o.Name), dash(o.Address), o.State, "-", fmt.Sprintf("%03o", o.Reach), "-", "-", "-"}
		if !o.Last.IsZero() {
			row[3], row[5], row[6], row[7] = fmt.Sprint(o.Stratum), signed(o.Offset), milliseconds(o.Delay), s.At.Sub(o.Last).Round(time.Second).String()
		}
		rows = append(rows, row)
	}
	table(c, "", rows)
	for _, o := range s.Servers {
		if o.Problem != "" {
			c.Printf("%s : %s\n", printable(o.Name), printable(o.Problem))
		}
	}
	return nil
}

// status is where services say how they are getting on.
func (d Deps) status() fs.FS {
	if d.Status != nil {
		return d.Status
	}
	return os.DirFS("/")
}

func signed(t time.Duration) string { return fmt.Sprintf("%+.3f ms", float64(t.Microseconds())/1000) }

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return printable(s)
}
