package commands

import (
	"bytes"
	"crypto/ed25519"
	"fmt"
	"strings"
	"testing"
	"time"

	"rotunda/init/licence"
)

const everything = `Feature: callbridge status: Activated expiry: never
Feature: webbridge status: Activated expiry: never
Feature: turn status: Activated expiry: never
Feature: ldap status: Activated expiry: never
Feature: branding status: Activated expiry: never
Feature: recording status: Activated expiry: never
Feature: streaming status: Activated expiry: never
Feature: personal status: Activated expiry: never
Feature: shared status: Activated expiry: never
Feature: capacity_units status: Activated expiry: never
Feature: customizations status: Activated expiry: never
`

func TestWithoutALicenceFileEveryFeatureIsThere(t *testing.T) {
	d := newDesk(t)
	d.prints("No licence: every feature is activated\n"+everything, "license")
	d.deps.Stored = shelf{}
	d.prints("No licence: every feature is activated\n"+everything, "license")
}

// The lines have the layout of the reference's capture, since scripts parse them.
func TestLicenseShowsWhatTheFileAllows(t *testing.T) {
	now := time.Now().UTC().Truncate(24 * time.Hour)
	soon, past := now.AddDate(0, 0, 690), now.AddDate(0, 0, -12)
	l := &licence.Licence{Hosts: []string{licence.Host("00:50:56:BC:FC:7D")}, Features: []licence.Grant{
		{Feature: "callBridge", Expiry: soon}, {Feature: "recording", Limit: 10, Expiry: past, Grace: 30}, {Feature: "shared", Limit: 5, Expiry: past},
		{Feature: "branding", Level: "full"}, {Feature: "localLicenseMode"},
	}}
	file, err := l.Sign(licence.DevelopmentKey())
	if err != nil {
		t.Fatal(err)
	}
	stored := shelf{licence.FileName: file}
	d := newDesk(t)
	d.deps.Stored = stored
	d.prints(fmt.Sprintf(`Feature: callbridge status: Activated expiry: %s (690 days remain)
Feature: branding status: Activated expiry: never level: full
Feature: recording status: Grace expiry: %s (12 days ago) limit: 10
Feature: shared status: Expired expiry: %[2]s (12 days ago) limit: 5
Feature: local_license_mode status: Activated expiry: never
`, soon.Format(licence.DateLayout), past.Format(licence.DateLayout)), "license")

	stored[licence.FileName] = bytes.Replace(file, []byte("limit: 10"), []byte("limit: 99"), 1)
	d.prints("Warning: cms.lic is not used: the signature does not belong to this text: the file was changed, or signed with another key\n"+
		"No licence: every feature is activated\n"+everything, "license")

	l.Hosts = []string{licence.Host("00:50:56:00:00:01")}
	if stored[licence.FileName], err = l.Sign(licence.DevelopmentKey()); err != nil {
		t.Fatal(err)
	}
	d.prints("Warning: cms.lic is not used: the licence is for 005056000001, this machine is 00:50:56:bc:fc:7d\n"+
		"No licence: every feature is activated\n"+everything, "license")

	_, stranger, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	if stored[licence.FileName], err = l.Sign(stranger); err != nil {
		t.Fatal(err)
	}
	d.prints("Warning: cms.lic is not used: the signature does not belong to this text: the file was changed, or signed with another key\n"+
		"No licence: every feature is activated\n"+everything, "license")

	stored[licence.FileName] = []byte(strings.Repeat("x", licence.MaxSize+10))
	d.prints("Warning: cms.lic is not used: the file has more than 65536 bytes\nNo licence: every feature is activated\n"+everything, "license")
}
