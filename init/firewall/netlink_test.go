package firewall

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"testing"

	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"rotunda/init/config"
)

// encoded is a rule as it goes to the kernel, and comes back.
func encoded(t testing.TB, r Rule) []byte {
	t.Helper()
	e := encoder{known: map[expr.Any][]byte{}}
	e.rule("a", r)
	if len(e.errs) > 0 {
		t.Fatal(e.errs)
	}
	return e.messages[0].Data[4:]
}

func everyRule() []Rule {
	doc := walled(config.Firewalls{"a": {Enabled: true, Default: config.Deny, Rules: []config.FirewallRule{
		rule(0, true, 22, "tcp", "10.9.0.0/16"), rule(1, false, 53, "udp", "2001:db8::/32"), rule(2, true, 0, "", "192.0.2.7/32"), rule(3, true, 0, "", "0.0.0.0/0")}}})
	doc.DSCP.IPv4, doc.DSCP.IPv6 = map[string]int{"voice": 46, "oa&m": 16}, map[string]int{"multimedia": 34}
	t, _ := Compile(doc, testDevices)
	var list []Rule
	for _, c := range t.Chains {
		list = append(list, c.Rules...)
	}
	return list
}

func TestRulesAreReadAsTheyAreWritten(t *testing.T) {
	d := decoder{known: map[string]expr.Any{}}
	for _, r := range everyRule() {
		chain, got, err := d.rule(encoded(t, r))
		if err != nil || chain != "a" || got.Comment != r.Comment || !sameExprs(r.Exprs, got.Exprs) {
			t.Errorf("wanted %+v, got %s %+v, %v", r, chain, got, err)
		}
	}
}

func TestAnExpressionThatIsNotOursMakesAnotherRule(t *testing.T) {
	want := everyRule()[0]
	other := want
	other.Exprs = append(slices.Clone(want.Exprs), &expr.Counter{})
	d := decoder{known: map[string]expr.Any{}}
	_, got, err := d.rule(encoded(t, other))
	if err != nil || len(got.Exprs) != len(want.Exprs)+1 || sameExprs(want.Exprs, got.Exprs) || sameExprs(other.Exprs, got.Exprs) {
		t.Errorf("wanted a rule that is no other, got %+v, %v", got, err)
	}
}

// answer is a message of netlink.
func answer(kind uint16, sequence uint32, body []byte) []byte {
	b := binary.NativeEndian.AppendUint32(nil, uint32(unix.SizeofNlMsghdr+len(body)))
	b = binary.NativeEndian.AppendUint16(b, kind)
	b = binary.NativeEndian.AppendUint16(b, 0)
	b = binary.NativeEndian.AppendUint32(b, sequence)
	return append(binary.NativeEndian.AppendUint32(b, 0), body...)
}

func TestAnswersEndAsTheKernelSays(t *testing.T) {
	refusal := binary.NativeEndian.AppendUint32(nil, ^uint32(unix.ENOENT)+1)
	for name, c := range map[string]struct {
		received []byte
		seen     string
		done     bool
		err      error
	}{
		"two and the end": {slices.Concat(answer(100, 7, []byte("one ")), answer(100, 7, []byte("two ")), answer(unix.NLMSG_DONE, 7, []byte{0, 0, 0, 0})), "one two ", true, nil},
		"more to come":    {answer(100, 7, []byte("one ")), "one ", false, nil},
		"of another":      {answer(100, 6, []byte("one ")), "", false, nil},
		"a refusal":       {answer(unix.NLMSG_ERROR, 7, refusal), "", false, unix.ENOENT},
		"cut short":       {answer(100, 7, []byte("one "))[:17], "", false, errShort},
		"half a header":   {[]byte{1, 2, 3}, "", false, errShort},
	} {
		seen := ""
		done, err := answers(c.received, 7, func(b []byte) error { seen += string(b); return nil })
		if seen != c.seen || done != c.done || !errors.Is(err, c.err) {
			t.Errorf("%s: got %q, %v, %v", name, seen, done, err)
		}
	}
}

func FuzzAnswers(f *testing.F) {
	f.Add(answer(100, 7, []byte("one ")))
	f.Add(answer(unix.NLMSG_DONE, 7, nil))
	f.Add(append(answer(100, 7, []byte("x")), answer(unix.NLMSG_ERROR, 7, []byte{1, 2, 3, 255})...))
	f.Fuzz(func(t *testing.T, b []byte) {
		total := 0
		_, _ = answers(b, 7, func(body []byte) error { total += len(body); return nil })
		if total > len(b) {
			t.Fatalf("%d bytes of %d", total, len(b))
		}
	})
}

func FuzzRule(f *testing.F) {
	for _, r := range everyRule() {
		f.Add(encoded(f, r))
	}
	f.Add([]byte{3, 0, 1, 0})
	f.Add([]byte{8, 0, 4, 0x80, 5, 0, 1, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		d := decoder{known: map[string]expr.Any{}}
		_, r, err := d.rule(b)
		if err != nil {
			return
		}
		for _, x := range r.Exprs {
			if x == nil {
				t.Fatalf("an expression is missing in %+v", r)
			}
		}
		// What cannot be written was cut by the reader of the library.
		e := encoder{known: map[expr.Any][]byte{}}
		e.rule("a", r)
		if len(e.errs) == 0 && len(e.messages[0].Data) < 4 {
			t.Fatal("no message")
		}
	})
}

func TestAttributesArePadded(t *testing.T) {
	b := append(attribute(unix.NFTA_RULE_CHAIN, name("ab")), attribute(unix.NFTA_RULE_TABLE, name("abc"))...)
	var got [][]byte
	if err := each(b, func(_ int, v []byte) error { got = append(got, v); return nil }); err != nil || len(got) != 2 || !bytes.Equal(got[0], []byte("ab\x00")) || len(b) != 16 {
		t.Errorf("got %q, %v, of %d bytes", got, err, len(b))
	}
}
