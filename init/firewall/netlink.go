package firewall

import (
	"bytes"
	"encoding/binary"
	"errors"

	"github.com/google/nftables/expr"
	"github.com/google/nftables/userdata"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// Attributes of netlink(7): length, type, value, padded to four bytes. What is in them is of nfnetlink, in network byte order.

var errShort = errors.New("an answer of the kernel is cut short")

const (
	// attributeHeader is the size of struct nlattr.
	attributeHeader = 4
	// kindMask leaves a type without the bits that say how its value is written.
	kindMask = 0x3fff
)

func attribute(kind int, value []byte) []byte {
	b := make([]byte, 0, attributeHeader+len(value)+3)
	b = binary.NativeEndian.AppendUint16(b, uint16(attributeHeader+len(value)))
	b = binary.NativeEndian.AppendUint16(b, uint16(kind))
	b = append(b, value...)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

// largest is what the kernel puts into one answer at most, twice. It puts in as much as it has seen a reader to have room for, and goes
// through all rules from the first one for each answer; the library asks for 4 KiB, twice.
const largest = 64 << 10

// dump asks and calls visit with what follows the header of each answer.
func dump(c *netlink.Conn, question netlink.Message, visit func([]byte) error) error {
	sent, err := c.Send(question)
	if err != nil {
		return err
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	b := make([]byte, largest)
	for {
		var n int
		var failed error
		if err := raw.Read(func(fd uintptr) bool {
			n, _, failed = unix.Recvfrom(int(fd), b, 0)
			return failed != unix.EAGAIN && failed != unix.EINTR
		}); err != nil {
			return err
		}
		if failed != nil {
			return failed
		}
		if done, err := answers(b[:n], sent.Header.Sequence, visit); done || err != nil {
			return err
		}
	}
}

// answers takes apart what was received at once; done says that it was the last.
func answers(b []byte, sequence uint32, visit func([]byte) error) (done bool, err error) {
	for len(b) > 0 {
		if len(b) < unix.SizeofNlMsghdr {
			return false, errShort
		}
		n, kind := int(binary.NativeEndian.Uint32(b)), binary.NativeEndian.Uint16(b[4:])
		if n < unix.SizeofNlMsghdr || n > len(b) {
			return false, errShort
		}
		body := b[unix.SizeofNlMsghdr:n]
		switch {
		case binary.NativeEndian.Uint32(b[8:]) != sequence:
			// It is the answer to something else.
		case kind == unix.NLMSG_ERROR || kind == unix.NLMSG_DONE:
			if len(body) >= 4 {
				if number := int32(binary.NativeEndian.Uint32(body)); number < 0 {
					return false, unix.Errno(-number)
				}
			}
			return true, nil
		default:
			if err := visit(body); err != nil {
				return false, err
			}
		}
		b = b[min((n+3)&^3, len(b)):]
	}
	return false, nil
}

// name is a string as the kernel takes it.
func name(s string) []byte { return append([]byte(s), 0) }

func number32(n uint32) []byte { return binary.BigEndian.AppendUint32(nil, n) }

// each calls visit for every attribute until one is wrong.
func each(b []byte, visit func(kind int, value []byte) error) error {
	for len(b) > 0 {
		if len(b) < attributeHeader {
			return errShort
		}
		n, kind := int(binary.NativeEndian.Uint16(b)), int(binary.NativeEndian.Uint16(b[2:]))&kindMask
		if n < attributeHeader || n > len(b) {
			return errShort
		}
		if err := visit(kind, b[attributeHeader:n]); err != nil {
			return err
		}
		// The last one need not be padded.
		b = b[min((n+3)&^3, len(b)):]
	}
	return nil
}

// text is a string without the zero byte at its end.
func text(b []byte) string {
	if n := len(b); n > 0 && b[n-1] == 0 {
		b = b[:n-1]
	}
	return string(b)
}

// decoder reads rules.
type decoder struct {
	// known are expressions that were read before, by their bytes: rules differ in one or two of ten.
	known map[string]expr.Any
}

// rule reads the attributes of one.
func (d decoder) rule(b []byte) (chain string, r Rule, err error) {
	err = each(b, func(kind int, value []byte) error {
		switch kind {
		case unix.NFTA_RULE_CHAIN:
			chain = text(value)
		case unix.NFTA_RULE_USERDATA:
			r.Comment, _ = userdata.GetString(value, userdata.TypeComment)
		case unix.NFTA_RULE_EXPRESSIONS:
			return each(value, func(_ int, element []byte) error {
				x, ok := d.known[string(element)]
				if !ok {
					var err error
					if x, err = expression(bytes.Clone(element)); err != nil {
						return err
					}
					d.known[string(element)] = x
				}
				r.Exprs = append(r.Exprs, x)
				return nil
			})
		}
		return nil
	})
	return chain, r, err
}

// expression reads one of those that [Compile] makes. Any other stands for itself as something that is in no rule of ours, so that the rule
// is found to be another.
func expression(b []byte) (x expr.Any, err error) {
	var kind string
	err = each(b, func(k int, value []byte) error {
		switch k {
		case unix.NFTA_EXPR_NAME:
			kind = text(value)
		case unix.NFTA_EXPR_DATA:
			switch kind {
			case "meta":
				x = new(expr.Meta)
			case "cmp":
				x = new(expr.Cmp)
			case "payload":
				x = new(expr.Payload)
			case "bitwise":
				x = new(expr.Bitwise)
			case "ct":
				x = new(expr.Ct)
			case "immediate":
				return immediate(value, &x)
			default:
				return nil
			}
			return expr.Unmarshal(unix.NFPROTO_INET, value, x)
		}
		return nil
	})
	if x == nil {
		x = new(expr.Notrack)
	}
	return x, err
}

// immediate is a verdict if it is for the register of those.
func immediate(b []byte, x *expr.Any) error {
	i := new(expr.Immediate)
	*x = i
	if err := expr.Unmarshal(unix.NFPROTO_INET, b, i); err != nil || i.Register != unix.NFT_REG_VERDICT || len(i.Data) > 0 {
		return err
	}
	*x = new(expr.Verdict)
	return expr.Unmarshal(unix.NFPROTO_INET, b, *x)
}
