// Package kamailio is somebody else's call control for tests: a proxy that takes calls by the transports that it is told, records its route, and passes
// everything on by TCP to one far end.
//
// It ends with the test. Tests are skipped where the program is not installed (Debian's kamailio, and kamailio-tls-modules for TLS).
package kamailio

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// Options are what tests choose.
type Options struct {
	// Listen has transports and addresses, such as "tcp:127.0.0.1:5060".
	Listen []string
	// Far is host:port of whom calls are passed on to.
	Far string
	// Certificate and Key are PEM files, for listening by tls.
	Certificate, Key string
}

const head = `#!KAMAILIO
debug=1
log_stderror=yes
fork=no
children=1
tcp_children=1
disable_tcp=no
mpath="/usr/lib/x86_64-linux-gnu/kamailio/modules/"
`

const tls = `enable_tls=yes
loadmodule "tls.so"
modparam("tls", "tls_method", "TLSv1.2+")
modparam("tls", "certificate", "%s")
modparam("tls", "private_key", "%s")
`

const routes = `loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "siputils.so"
loadmodule "textops.so"
request_route {
	if (has_totag()) {
		if (loose_route()) { t_relay(); exit; }
		if (is_method("ACK")) { if (t_check_trans()) t_relay(); exit; }
		sl_send_reply("404", "Not here");
		exit;
	}
	if (is_method("CANCEL")) { if (t_check_trans()) t_relay(); exit; }
	record_route();
	$du = "sip:%s;transport=tcp";
	t_relay();
}
`

func (o *Options) config() string {
	var c strings.Builder
	c.WriteString(head)
	if o.Certificate != "" {
		fmt.Fprintf(&c, tls, o.Certificate, o.Key)
	}
	for _, l := range o.Listen {
		fmt.Fprintf(&c, "listen=%s\n", l)
	}
	fmt.Fprintf(&c, routes, o.Far)
	return c.String()
}

// Start starts it. It may take calls a moment later: what calls it tries again. The calling goroutine's network namespace is where it runs.
func Start(t testing.TB, o Options) {
	t.Helper()
	program, err := exec.LookPath("kamailio")
	if err != nil {
		t.Skip("kamailio is not installed (Debian: kamailio, kamailio-tls-modules)")
	}
	folder := t.TempDir()
	file := filepath.Join(folder, "kamailio.cfg")
	if err := os.WriteFile(file, []byte(o.config()), 0o600); err != nil {
		t.Fatal(err)
	}
	command := exec.Command(program, "-f", file, "-DD", "-E", "-w", folder, "-Y", folder, "-m", "32", "-M", "8")
	// Its processes are ended together, and what they say goes to a file: one that is left would keep a pipe open for ever.
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	said, err := os.Create(filepath.Join(folder, "said"))
	if err != nil {
		t.Fatal(err)
	}
	defer said.Close()
	command.Stdout, command.Stderr = said, said
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-command.Process.Pid, syscall.SIGKILL)
		_ = command.Wait()
		if t.Failed() {
			text, _ := os.ReadFile(said.Name())
			t.Logf("kamailio said:\n%s", text)
		}
	})
}
