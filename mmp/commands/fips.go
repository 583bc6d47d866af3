package commands

import (
	"context"
	"crypto/fips140"
	"errors"
	"fmt"

	"rotunda/init/config"
	"rotunda/mmp/fips"
	"rotunda/mmp/grammar"
)

// selfTest is [fips.SelfTest], but in tests.
var selfTest = func(ctx context.Context) ([]string, error) { return fips.SelfTest(ctx, "") }

// fipsCommands are the commands about FIPS mode (guide chapter 15.3, table 14).
func (d Deps) fipsCommands() []grammar.Command {
	return []grammar.Command{
		{
			Syntax: "fips", Roles: readers,
			Help: "Show whether FIPS mode is enabled",
			Run:  d.showFIPS,
		},
		{
			Syntax: "fips (enable|disable)", Roles: admins,
			Help: "Use the cryptography of FIPS 140-3 alone for network traffic, or not",
			Detail: "A reboot is required for the change to take effect. TLS and SSH then offer approved algorithms alone, and settings that ask for others are refused: " +
				"TLS before 1.2, ciphers with ChaCha20 or SHA-1, MD5 and DES of SNMP, NTP keys with MD5 or SHA-1.",
			Run: func(c *grammar.Call) error {
				return d.change(c, func(doc *config.Document) error {
					doc.FIPS.Enabled = c.Has("enable")
					if doc.FIPS.Enabled {
						return d.approveNTPKeys(doc.NTP)
					}
					return nil
				})
			},
		},
		{
			Syntax: "fips test", Roles: admins,
			Help:   "Run the self-tests of the cryptographic module",
			Detail: "They run in a process of their own, in FIPS mode whether it is enabled or not: the integrity of the module, and a known answer of each algorithm.",
			Run: func(c *grammar.Call) error {
				passed, err := selfTest(c.Context)
				for _, line := range passed {
					c.Printf("SUCCESS: %s\n", printable(line))
				}
				if err != nil {
					return fmt.Errorf("FAILURE: %s", printable(err.Error()))
				}
				c.Printf("FIPS self-test passed: %d tests\n", len(passed))
				return nil
			},
		},
	}
}

func (d Deps) showFIPS(c *grammar.Call) error {
	running, err := d.Machine.Config(c.Context)
	if err != nil {
		return err
	}
	word := map[bool]string{true: "Enabled", false: "Disabled"}
	c.Printf("%-24s: %s\n", "FIPS mode", word[fips140.Enabled()])
	c.Printf("%-24s: %s\n", "Module", fips.Module())
	if running.Document.FIPS.Enabled != fips140.Enabled() {
		c.Printf("FIPS mode is to be %s: a reboot is required\n", map[bool]string{true: "enabled", false: "disabled"}[running.Document.FIPS.Enabled])
	}
	return nil
}

// approveNTPKeys refuses keys that FIPS mode does not have, if a server needs one of them.
func (d Deps) approveNTPKeys(n config.NTP) error {
	if n.Keys == "" || d.Stored == nil {
		return nil
	}
	keys, err := d.ntpKeys(n.Keys)
	if err != nil {
		return err
	}
	for _, s := range n.Servers {
		if k, ok := keys[s.Key]; ok && !k.Approved() {
			return errors.New("FIPS mode does not allow " + k.Type + ", which NTP server " + s.Host + " has a key of: use one of SHA256 or AES128CMAC, or add the server without a key")
		}
	}
	return nil
}
