package grammar

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func testTree(t testing.TB, commands ...Command) *Tree {
	t.Helper()
	if commands == nil {
		for _, s := range []string{
			"help [<word>…]",
			"ipv4 <interface>",
			"ipv4 <interface> (enable|disable|default|dhcp)",
			"ipv4 <interface> add <prefix:ipv4prefix> <gateway:ipv4>",
			"ipv4 <interface> route (add|del) <prefix:ipv4prefix>",
			"iface <interface>",
			"iface <interface> mtu <mtu:576..9000>",
			"timezone [<zone:word>]",
			"timezone list",
			"backup snapshot [<name:word>]",
			"turn credentials <user:word> <password:secret> <realm:word>",
			"turn listen <interface>…",
			"turn listen none",
			"dns app add rr <rr:text>",
			"callbridge (<cores:1..8>|auto) [av1 [<level:word>] fast]",
		} {
			commands = append(commands, Command{Syntax: s, Help: "Help of " + s, Run: func(*Call) error { return nil }})
		}
		for _, s := range []string{"user list", "user add <username> <role:(admin|crypto|audit|appadmin|api)> [ldap]"} {
			commands = append(commands, Command{Syntax: s, Help: "Help of " + s, Roles: []Role{Admin}, Run: func(*Call) error { return nil }})
		}
	}
	tree, err := NewTree([]Kind{{Name: "file", Help: "a file", Complete: words("a b.crt", "a b.key", "cms.lic")}}, commands)
	if err != nil {
		t.Fatalf("declare the commands: %v", err)
	}
	return tree
}

func TestALineBecomesACommandWithItsArguments(t *testing.T) {
	tree := testTree(t)
	for _, c := range []struct {
		line, syntax string
		args         map[string]string
		rest         []string
	}{
		{"ipv4 a", "ipv4 <interface>", map[string]string{"interface": "a"}, nil},
		{"  ipv4\ta  enable ", "ipv4 <interface> (enable|disable|default|dhcp)", map[string]string{"interface": "a", "enable": "enable"}, nil},
		{"ipv4 b add 192.0.2.7/24 192.0.2.1", "ipv4 <interface> add <prefix:ipv4prefix> <gateway:ipv4>",
			map[string]string{"interface": "b", "prefix": "192.0.2.7/24", "gateway": "192.0.2.1"}, nil},
		{"timezone", "timezone [<zone:word>]", map[string]string{}, nil},
		{"timezone Europe/Vienna", "timezone [<zone:word>]", map[string]string{"zone": "Europe/Vienna"}, nil},
		{"timezone list", "timezone list", map[string]string{}, nil},
		{"user add bob api ldap", "user add <username> <role:(admin|crypto|audit|appadmin|api)> [ldap]",
			map[string]string{"username": "bob", "role": "api", "ldap": "ldap"}, nil},
		{"turn listen a c", "turn listen <interface>…", map[string]string{"interface": "a"}, []string{"a", "c"}},
		{"turn listen none", "turn listen none", map[string]string{}, nil},
		{`dns app add rr "_sip. 60 IN SRV 0 5 5061 host."`, "dns app add rr <rr:text>",
			map[string]string{"rr": "_sip. 60 IN SRV 0 5 5061 host."}, nil},
		{"callbridge 4 av1 fast", "callbridge (<cores:1..8>|auto) [av1 [<level:word>] fast]",
			map[string]string{"cores": "4", "av1": "av1", "fast": "fast"}, nil},
		{"callbridge auto av1 low fast", "callbridge (<cores:1..8>|auto) [av1 [<level:word>] fast]",
			map[string]string{"auto": "auto", "av1": "av1", "level": "low", "fast": "fast"}, nil},
		{"help", "help [<word>…]", map[string]string{}, nil},
		{"help ipv4 a", "help [<word>…]", map[string]string{"word": "ipv4"}, []string{"ipv4", "a"}},
	} {
		m, err := tree.Parse(Admin, c.line)
		if err != nil {
			t.Errorf("%q: wanted %q, got error %v", c.line, c.syntax, err)
			continue
		}
		if m.Command.Syntax != c.syntax {
			t.Errorf("%q: wanted %q, got %q", c.line, c.syntax, m.Command.Syntax)
		}
		if d := cmp.Diff(c.args, m.args); d != "" {
			t.Errorf("%q: arguments, wanted -, got +:\n%s", c.line, d)
		}
		if d := cmp.Diff(c.rest, m.rest); d != "" {
			t.Errorf("%q: rest, wanted -, got +:\n%s", c.line, d)
		}
	}
}

// A word of the syntax is the same in any case; what people name themselves is not. The audit log has one spelling, so that who searches it finds all.
func TestWordsOfTheSyntaxAreTakenInAnyCase(t *testing.T) {
	tree := testTree(t)
	for _, c := range []struct {
		line, audit string
		args        map[string]string
	}{
		{"IPV4 A Enable", "ipv4 a enable", map[string]string{"interface": "a", "enable": "enable"}},
		{"User ADD Bob Crypto LDAP", "user add Bob crypto ldap", map[string]string{"username": "Bob", "role": "crypto", "ldap": "ldap"}},
		{"TURN Listen B a", "turn listen b a", map[string]string{"interface": "b"}},
		{"TURN Listen NONE", "turn listen none", map[string]string{}},
		{"Turn Credentials Bob SeCret Realm", "turn credentials Bob ******** Realm", map[string]string{"user": "Bob", "password": "SeCret", "realm": "Realm"}},
		{"TimeZone Europe/London", "timezone Europe/London", map[string]string{"zone": "Europe/London"}},
	} {
		m, err := tree.Parse(Admin, c.line)
		if err != nil || !maps.Equal(m.args, c.args) || m.Audit != c.audit {
			t.Errorf("%s: wanted %v and %q, got %+v, %v", c.line, c.args, c.audit, m, err)
		}
	}
	if m, _ := tree.Parse(Admin, "TURN Listen B a"); !slices.Equal(m.rest, []string{"b", "a"}) {
		t.Errorf("wanted interfaces as they are called, got %q", m.rest)
	}
	caller := &Caller{Role: Admin}
	for line, want := range map[string]string{"IPV4 A EN": "IPV4 A enable ", "USER add x CR": "USER add x crypto ", "Help IPV4 B ro": "Help IPV4 B route "} {
		if got, _ := tree.Complete(caller, line); got != want {
			t.Errorf("Tab after %q: wanted %q, got %q", line, want, got)
		}
	}
	if hints := tree.Next(caller, "IPV4 A EN"); len(hints) != 1 || hints[0].Text != "enable" {
		t.Errorf("wanted enable, got %v", hints)
	}
	var out strings.Builder
	if err := tree.Help(&out, Admin, []string{"TIMEZONE", "List"}); err != nil || !strings.Contains(out.String(), "timezone list") {
		t.Errorf("wanted help for it, got %v\n%s", err, out.String())
	}
	if _, err := tree.Parse(Admin, "TimZone"); err == nil || !strings.HasPrefix(err.Error(), `Unknown command "TimZone"; did you mean "timezone"?`) {
		t.Errorf("wanted the nearest command named, got %v", err)
	}
}

func TestAWrongLineIsNamedWithWhatWouldBeRight(t *testing.T) {
	tree := testTree(t)
	for _, c := range []struct{ line, want string }{
		{"frobnicate", `Unknown command "frobnicate"; "help" lists the commands`},
		{"ipv5 a", `Unknown command "ipv5"; did you mean "ipv4"?`},
		{"ipv4 a rout", `ipv4 a rout: unknown word "rout"; one of add, default, dhcp, disable, enable, route; did you mean "route"?`},
		{"ipv4 e", `ipv4 e: wrong word "e"; want an interface: a, b, c or d`},
		{"ipv4", `ipv4: a word is missing; next is an interface: a, b, c or d`},
		{"ipv4 a add 192.0.2.7 192.0.2.1", `ipv4 a add 192.0.2.7: wrong word "192.0.2.7": the prefix length is missing; ` +
			`want an IPv4 address with its prefix length, for example 192.0.2.1/24`},
		{"ipv4 a enable now", `ipv4 a enable now: unexpected word "now"; the command ends before it`},
		{"dns app add rr a b", `dns app add rr a b: unexpected word "b"; the command ends before it. Text with blanks needs double quotes`},
		{"iface a mtu 100", `iface a mtu 100: wrong word "100"; want a whole number from 576 to 9000`},
		{"callbridge 9", `callbridge 9: wrong word "9"; want "auto", or a whole number from 1 to 8`},
		{"user add bob admim", `user add bob admim: unknown word "admim"; one of admin, api, appadmin, audit, crypto; did you mean "admin"?`},
		{"turn credentials admin hunter2", `turn credentials admin ********: a word is missing; next is a word; blanks need double quotes`},
		{`dns app add rr "no end`, `a double quote is not closed: "no end`},
		{"ipv4 a\x1b[2J", `character U+001B at position 7 may not be part of a command`},
		{"ipv4 \xff", `the line is not valid UTF-8`},
		{"ipv4 " + strings.Repeat("a", MaxLine), `the line is 4101 bytes long; the limit is 4096`},
	} {
		m, err := tree.Parse(Admin, c.line)
		if err == nil {
			t.Errorf("%q: wanted %q, got command %q", c.line, c.want, m.Command.Syntax)
		} else if err.Error() != c.want {
			t.Errorf("%q:\nwanted %s\ngot    %s", c.line, c.want, err)
		}
	}
}

func TestANumberIsNoTypingMistakeOfAnother(t *testing.T) {
	tree := testTree(t, Command{Syntax: "tls min-tls-version (1.0|1.1|1.2|1.3)", Help: "Choose the oldest version", Run: func(*Call) error { return nil }})
	_, err := tree.Parse(Admin, "tls min-tls-version 1.4")
	if want := `tls min-tls-version 1.4: unknown word "1.4"; one of 1.0, 1.1, 1.2, 1.3`; err == nil || err.Error() != want {
		t.Errorf("wanted %q, got %v", want, err)
	}
}

func TestADenialNamesTheRolesOfWhatWasTypedAlone(t *testing.T) {
	run := func(*Call) error { return nil }
	tree := testTree(t,
		Command{Syntax: "turn", Help: "Show it", Roles: []Role{Admin}, Run: run},
		Command{Syntax: "turn certs <key:word>", Help: "Choose its key", Roles: []Role{Admin, Crypto}, Run: run})
	// turn certs is theirs; that does not let them run turn.
	_, err := tree.Parse(Crypto, "turn")
	if want := "turn: permission denied; it takes role admin"; err == nil || err.Error() != want {
		t.Errorf("crypto types turn: wanted %q, got %v", want, err)
	}
}

func TestACommandOfAnotherRoleIsDeniedAndInvisible(t *testing.T) {
	tree := testTree(t)
	for _, line := range []string{"user list", "user", "user add", "user nonsense", "user add bob api"} {
		if _, err := tree.Parse(Crypto, line); !errors.Is(err, ErrDenied) {
			t.Errorf("crypto types %q: wanted %v, got %v", line, ErrDenied, err)
		}
	}
	_, err := tree.Parse(Crypto, "user add bob api")
	if want := "user add bob api: permission denied; it takes role admin"; err == nil || err.Error() != want {
		t.Errorf("crypto adds a user: wanted %q, got %v", want, err)
	}
	var help bytes.Buffer
	if err := tree.Help(&help, Crypto, nil); err != nil || strings.Contains(help.String(), "user ") {
		t.Errorf("crypto's help: wanted no user command, got %v\n%s", err, &help)
	}
	if err := tree.Help(io.Discard, Crypto, []string{"user"}); !errors.Is(err, ErrDenied) {
		t.Errorf(`crypto's "help user": wanted %v, got %v`, ErrDenied, err)
	}
	crypto := &Caller{Role: Crypto}
	if text, list := tree.Complete(crypto, "us"); text != "us" || list != nil {
		t.Errorf("crypto completes us: wanted nothing, got %q %q", text, list)
	}
	if hints := tree.Next(crypto, "user "); hints != nil {
		t.Errorf("crypto asks what follows user: wanted nothing, got %v", hints)
	}
}

func TestTheAuditTextHoldsNoSecret(t *testing.T) {
	tree := testTree(t)
	for _, c := range []struct {
		line, want string
		secret     bool
	}{
		{"ipv4 a  enable", "ipv4 a enable", false},
		{"turn credentials admin hunter2 example.com", "turn credentials admin ******** example.com", true},
		{"turn credentials admin hunter2", "turn credentials admin ********", true},
		{"turn credentials admin hunter2 example.com hunter2", "turn credentials admin ******** example.com …", true},
		{"hunter2", "…", true},
		{"turn credentail admin hunter2", "turn …", true},
		{"ipv4 a ad 192.0.2.1/24", "ipv4 a …", false},
		{`turn credentials "hunter2`, "…", true},
		{`dns app add rr "a \"b\" c"`, `dns app add rr "a \"b\" c"`, false},
	} {
		m, _ := tree.Parse(Admin, c.line)
		if m.Audit != c.want || m.Secret != c.secret {
			t.Errorf("%q: wanted %q secret %v, got %q secret %v", c.line, c.want, c.secret, m.Audit, m.Secret)
		}
	}
}

func TestTabCompletesAsFarAsItIsCertain(t *testing.T) {
	tree := testTree(t, Command{Syntax: "timezone [<word>]", Help: "h", Run: func(*Call) error { return nil }},
		Command{Syntax: "time set", Help: "h", Run: func(*Call) error { return nil }},
		Command{Syntax: "help [<word>…]", Help: "h", Run: func(*Call) error { return nil }},
		Command{Syntax: "pki inspect <file>", Help: "h", Run: func(*Call) error { return nil }},
		Command{Syntax: "user add <name:word> <role:(admin|api)>", Help: "h", Run: func(*Call) error { return nil }})
	for _, c := range []struct {
		line, text string
		list       []string
	}{
		{"h", "help ", nil},
		{"ti", "time", []string{"time", "timezone"}},
		{"time", "time", []string{"time", "timezone"}},
		{"help timez", "help timezone ", nil},
		{"time ", "time set ", nil},
		{"nothing", "nothing", nil},
		{"pki inspect c", "pki inspect cms.lic ", nil},
		{"pki inspect a", `pki inspect "a b.`, []string{"a b.crt", "a b.key"}},
		{`pki inspect "a b.c`, `pki inspect "a b.crt" `, nil},
		{"user add bob ap", "user add bob api ", nil},
		{"bell\a", "bell\a", nil},
	} {
		text, list := tree.Complete(&Caller{Role: Admin}, c.line)
		if text != c.text || !slices.Equal(list, c.list) {
			t.Errorf("Tab after %q: wanted %q %q, got %q %q", c.line, c.text, c.list, text, list)
		}
	}
}

func TestAQuestionMarkShowsWhatMayComeNext(t *testing.T) {
	tree := testTree(t)
	for _, c := range []struct {
		line string
		want []string
	}{
		{"ipv4 a ", []string{"add", "default", "dhcp", "disable", "enable", "route", "<return>"}},
		{"ipv4 a d", []string{"default", "dhcp", "disable"}},
		{"help ipv4 a route ", []string{"add", "del"}},
		{"ipv4 ", []string{"<interface>"}},
		{"callbridge ", []string{"<cores>", "auto"}},
		{"turn listen a ", []string{"<interface>", "<return>"}},
		{"user add bob a", []string{"admin", "api", "appadmin", "audit"}},
		{"bogus ", nil},
	} {
		var got []string
		for _, h := range tree.Next(&Caller{Role: Admin}, c.line) {
			got = append(got, h.Text)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("? after %q: wanted %q, got %q", c.line, c.want, got)
		}
	}
}

func TestAQuestionMarkAsAWordIsAQuestion(t *testing.T) {
	for _, c := range []struct {
		line, before string
		ok           bool
	}{
		{"?", "", true},
		{"ipv4 a ? ", "ipv4 a ", true},
		{"ipv4 a?", "ipv4 a?", false},
		{`motd add "why ?`, `motd add "why ?`, false},
		{`motd add "why ?"`, `motd add "why ?"`, false},
		{"ipv4 a", "ipv4 a", false},
	} {
		if before, ok := Question(c.line); before != c.before || ok != c.ok {
			t.Errorf("%q: wanted %q %v, got %q %v", c.line, c.before, c.ok, before, ok)
		}
	}
}

func TestHelpFindsTheFormsOfACommand(t *testing.T) {
	tree := testTree(t)
	for _, c := range []struct {
		words string
		want  []string
	}{
		{"iface", []string{"iface <interface>", "iface <interface> mtu <mtu>"}},
		{"ipv4 route", []string{"ipv4 <interface> route (add|del) <prefix>"}},
		{"ipv4 a add", []string{"ipv4 <interface> add <prefix> <gateway>"}},
		{"ipv4 dhcp", []string{"ipv4 <interface> (enable|disable|default|dhcp)"}},
	} {
		var out bytes.Buffer
		if err := tree.Help(&out, Admin, strings.Fields(c.words)); err != nil {
			t.Errorf("help %s: wanted %q, got error %v", c.words, c.want, err)
			continue
		}
		for _, w := range c.want {
			if !strings.Contains(out.String(), w) {
				t.Errorf("help %s: wanted %q in it, got\n%s", c.words, w, &out)
			}
		}
		if n := strings.Count(out.String(), "Help of "); n != len(c.want) {
			t.Errorf("help %s: wanted %d forms, got %d:\n%s", c.words, len(c.want), n, &out)
		}
	}
	if err := tree.Help(io.Discard, Admin, []string{"ipv4", "a", "rout"}); err == nil || !strings.Contains(err.Error(), `"rout"`) {
		t.Errorf("help ipv4 a rout: wanted an error that names rout, got %v", err)
	}
}

func TestAMistakeInADeclarationIsFoundWhenTheTreeIsBuilt(t *testing.T) {
	run := func(*Call) error { return nil }
	for _, syntax := range []string{
		"", "<word>", "[a]", "a [b", "a b]", "a []", "a <nokind>", "a (b|", "a (b||c)", "a <x:word", "a <file>… b",
		"a <word> <word>", "a <n:5..x>", "a b…", "a (b|b)",
	} {
		if _, err := NewTree(nil, []Command{{Syntax: syntax, Help: "h", Run: run}}); err == nil {
			t.Errorf("declare %q: wanted an error, got none", syntax)
		}
	}
	twice := []Command{{Syntax: "a <x:word>", Help: "h", Run: run}, {Syntax: "a <x:text>", Help: "h", Run: run}}
	if _, err := NewTree(nil, twice); err == nil {
		t.Error("declare one form twice: wanted an error, got none")
	}
}

func TestKindsTakeTheRightAndRefuseTheWrong(t *testing.T) {
	kinds := map[string]Kind{}
	for _, k := range Kinds() {
		kinds[k.Name] = k
	}
	for _, c := range []struct {
		kind       string
		good, evil []string
	}{
		{"interface", []string{"a", "d"}, []string{"e", "A", "", "aa"}},
		{"ipv4", []string{"192.0.2.1"}, []string{"192.0.2", "192.0.2.256", "2001:db8::1", "::ffff:192.0.2.1", "192.0.2.01"}},
		{"ipv6", []string{"2001:db8::1", "::"}, []string{"192.0.2.1", "fe80::1%eth0"}},
		{"ipv4prefix", []string{"192.0.2.1/24", "0.0.0.0/0"}, []string{"192.0.2.1/33", "192.0.2.1", "2001:db8::/32"}},
		{"ipv6prefix", []string{"2001:db8::1/64"}, []string{"2001:db8::1/129", "10.0.0.0/8"}},
		{"host", []string{"example.com", "a", "192.0.2.1", "2001:db8::1", "x.example."}, []string{"", "-a", "a-", "a..b", "a_b", "192.0.2", strings.Repeat("a", 64)}},
		{"username", []string{"bob", "b.o-b_1", "bob@example.com"}, []string{"", "-bob", ".", "bo b", "b/ob", "bób", strings.Repeat("a", 65)}},
		{"file", []string{"cms.lic", "a b.crt", "ü.pem"}, []string{"", ".", "..", "a/b", "/etc/passwd", "a\x00"}},
		{"port", []string{"1", "65535"}, []string{"0", "65536", "+5", "-1", "x"}},
		{"number", []string{"0", "-7", "12"}, []string{"", "+1", "1.5", "99999999999999999999"}},
	} {
		for _, w := range c.good {
			if err := kinds[c.kind].Check(w); err != nil {
				t.Errorf("%s %q: wanted it to be taken, got %q", c.kind, w, err)
			}
		}
		for _, w := range c.evil {
			if err := kinds[c.kind].Check(w); err == nil {
				t.Errorf("%s %q: wanted it to be refused, it was taken", c.kind, w)
			}
		}
	}
}

// answers is a terminal that gives its lines one after the other.
type answers []string

func (a *answers) Ask(context.Context, string) (string, error) {
	if len(*a) == 0 {
		return "", io.EOF
	}
	line := (*a)[0]
	*a = (*a)[1:]
	return line, nil
}

func (a *answers) AskSecret(ctx context.Context, p string) (string, error) { return a.Ask(ctx, p) }

func TestOnlyACapitalYConfirms(t *testing.T) {
	for _, c := range []struct {
		input answers
		want  error
	}{
		{answers{"Y"}, nil},
		{answers{" Y "}, nil},
		{answers{"y"}, ErrAborted},
		{answers{"Yes"}, ErrAborted},
		{answers{""}, ErrAborted},
		{answers{}, ErrAborted},
	} {
		input := slices.Clone(c.input)
		call := NewCall(context.Background(), &Caller{Terminal: &input}, io.Discard, nil)
		if err := call.Confirm("Sure?"); !errors.Is(err, c.want) {
			t.Errorf("answer %q: wanted %v, got %v", c.input, c.want, err)
		}
	}
	call := NewCall(context.Background(), &Caller{}, io.Discard, nil)
	if err := call.Confirm("Sure?"); err == nil {
		t.Error("without a terminal: wanted an error, got none")
	}
}

func TestACallGivesItsArgumentsTyped(t *testing.T) {
	m, err := testTree(t).Parse(Admin, "ipv4 b add 192.0.2.7/24 192.0.2.1")
	if err != nil {
		t.Fatal(err)
	}
	c := m.Call(context.Background(), &Caller{}, io.Discard)
	if got, want := c.Prefix("prefix"), netip.MustParsePrefix("192.0.2.7/24"); got != want {
		t.Errorf("prefix: wanted %v, got %v", want, got)
	}
	if got, want := c.Addr("gateway"), netip.MustParseAddr("192.0.2.1"); got != want {
		t.Errorf("gateway: wanted %v, got %v", want, got)
	}
	if c.Has("enable") || c.Addr("none").IsValid() {
		t.Error("wanted nothing for what was not typed")
	}
}

func TestTheReferencePageHasEveryForm(t *testing.T) {
	var page bytes.Buffer
	tree := testTree(t)
	if err := tree.Reference(&page); err != nil {
		t.Fatal(err)
	}
	for _, f := range tree.forms {
		if !strings.Contains(page.String(), "`"+f.text+"`") {
			t.Errorf("reference page: wanted %q in it", f.text)
		}
	}
	if !strings.Contains(page.String(), "Roles: admin.") {
		t.Error("reference page: wanted the roles of user list in it")
	}
}

func FuzzParse(f *testing.F) {
	tree := testTree(f)
	for _, s := range []string{
		"ipv4 a rout", `dns app add rr "a b"`, "turn credentials admin hunter2 x", "callbridge 4 av1 low fast",
		"help ipv4 a", "turn listen a b c", `"`, `\`, "\"\\", "user add bob admin ldap", "é ü", "\x00", "timezone list",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		for _, role := range Roles {
			m, err := tree.Parse(role, line)
			if m == nil {
				t.Fatalf("%q: wanted a match, got nil", line)
			}
			if err == nil && m.Command != nil && !m.Command.Allows(role) {
				t.Errorf("%q: %s may run %q", line, role, m.Command.Syntax)
			}
			if err != nil && strings.ContainsAny(err.Error(), "\r\n\x1b") {
				t.Errorf("%q: wanted an error of one line, got %q", line, err)
			}
			if strings.ContainsAny(m.Audit, "\r\n\x1b") {
				t.Errorf("%q: wanted an audit text of one line, got %q", line, m.Audit)
			}
			caller := &Caller{Role: role}
			tree.Next(caller, line)
			if text, _ := tree.Complete(caller, line); !strings.Contains(line, `"`) && (len(text) < len(line) || !strings.EqualFold(text[:len(line)], line)) {
				// Without quotes, completion only ever adds and changes the case, or puts quotes around the last word.
				if !strings.Contains(text, `"`) {
					t.Errorf("Tab after %q: wanted the line and more, got %q", line, text)
				}
			}
		}
		words, err := Split(line)
		if err != nil {
			return
		}
		again, err := Split(join(words))
		if err != nil || !slices.Equal(words, again) {
			t.Errorf("%q: split, joined and split: wanted %q, got %q, %v", line, words, again, err)
		}
	})
}
