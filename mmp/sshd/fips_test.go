package sshd

import (
	"crypto/fips140"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestOpenSSHInFIPSMode runs itself in the mode, which a program has from its start or not at all.
func TestOpenSSHInFIPSMode(t *testing.T) {
	if !fips140.Enabled() {
		cmd := exec.Command(os.Args[0], "-test.run=^TestOpenSSHInFIPSMode$", "-test.v")
		cmd.Env = append(os.Environ(), "GODEBUG=fips140=on")
		out, err := cmd.CombinedOutput()
		if strings.Contains(string(out), "--- SKIP") {
			t.Skip("the OpenSSH client is not installed")
		}
		if err != nil || !strings.Contains(string(out), "--- PASS") {
			t.Errorf("in FIPS mode: %v\n%s", err, out)
		}
		return
	}
	f := serve(t, nil)
	for option, refused := range map[string]string{
		"Ciphers=chacha20-poly1305@openssh.com":     "no matching cipher",
		"KexAlgorithms=curve25519-sha256":           "no matching key exchange method",
		"KexAlgorithms=diffie-hellman-group14-sha1": "no matching key exchange method",
		"MACs=hmac-sha1":                            "",
		"Ciphers=aes256-gcm@openssh.com":            "",
		"KexAlgorithms=ecdh-sha2-nistp256":          "",
	} {
		if option == "MACs=hmac-sha1" {
			// A cipher without a MAC of its own needs one.
			out, _ := f.openSSH(t, "-o", "Ciphers=aes128-ctr", "-o", option, "admin@HOST", "nothing").CombinedOutput()
			if !strings.Contains(string(out), "no matching MAC") {
				t.Errorf("%s: wanted it refused, got %s", option, out)
			}
			continue
		}
		out, _ := f.openSSH(t, "-v", "-o", option, "admin@HOST", "nothing").CombinedOutput()
		if refused != "" && !strings.Contains(string(out), refused) {
			t.Errorf("%s: wanted %q, got %s", option, refused, out)
		}
		if refused == "" && !strings.Contains(string(out), "Authenticated to") {
			t.Errorf("%s: wanted a login, got %s", option, out)
		}
	}
}
