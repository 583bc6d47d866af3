// Package licence reads and writes licence files: cms.lic, put by SFTP (guide chapter 17.1.12, reference mmp section 11).
//
// A licence is text that an administrator can read: who it is for, what it allows, how much of it and until when, and at the end an
// Ed25519 signature over all of that. Mail programs and FTP clients may change line ends and blanks at the ends of lines without harm;
// any other change breaks the signature.
//
//	Rotunda licence 1
//	Issued to: Example Ltd
//	Issued: 2026-Nov-22
//	Host: 00:50:56:AB:CD:EF
//	Feature: callBridge expiry: 2027-Nov-22
//	Feature: recording limit: 10 expiry: 2027-Nov-22 grace: 30
//	Feature: turn expiry: never
//	Signature: 1oJ…==
//
// Rotunda is open: without a licence file every feature is there, without limit and expiry ([Open]). A file that does not verify counts as
// none, and whoever reads it says why: a file that was damaged must not end meetings, and whoever wants rid of limits may as well take
// the file away.
//
// The package keeps nothing and is imported by the shell and by services alike.
package licence

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Licence is a file that has been verified, or what a file is to say.
type Licence struct {
	IssuedTo, Serial string
	Issued           time.Time
	// Hosts are MAC addresses of interface a, or host IDs, in the form of [Host]; none means every machine.
	Hosts    []string
	Features []Grant
}

// Grant is one feature of a licence.
type Grant struct {
	// Feature is the name in [Features]; a name of a newer version is kept and means nothing.
	Feature string
	// Limit is how many there may be at a time, 0 for as many as wanted.
	Limit int
	// Level is that of branding.
	Level string
	// Expiry is the last day, zero for none.
	Expiry time.Time
	// Grace is how many days after the expiry the feature goes on while everybody is told.
	Grace int
}

// Status is what a licence says about a feature now, by the names of the API.
type Status string

// The statuses.
const (
	NoLicense Status = "noLicense"
	Activated Status = "activated"
	Grace     Status = "grace"
	Expired   Status = "expired"
)

// State is a feature now.
type State struct {
	*Feature
	Status Status
	// Expiry is the last day, zero for none.
	Expiry time.Time
	// Limit is 0 for none.
	Limit int
	Level string
	// Ended is the first moment without the feature, when Status is Expired.
	Ended time.Time
}

// InForce says whether the feature may be used.
func (s State) InForce() bool { return s.Status == Activated || s.Status == Grace }

// Feature is something that licences are about.
type Feature struct {
	// API is the element in system/licensing, Command the name in the shell's license command.
	API, Command string
	// Cluster features are in clusterLicensing too.
	Cluster bool
	// Explicit features change how the machine works, so that having no licence file does not turn them on.
	Explicit bool
	// ShellOnly features are not in the API.
	ShellOnly bool
	Help      string
}

// Features are those of reference section 2.11, in its order.
var Features = []Feature{
	{API: "callBridge", Command: "callbridge", Cluster: true, Help: "Calls, with encrypted media."},
	{API: "callBridgeNoEncryption", Command: "callbridge_no_encryption", Cluster: true, Explicit: true,
		Help: "Calls, without encryption of SIP media (guide appendix D)."},
	{API: "webBridge", Command: "webbridge", Help: "The web app."},
	{API: "turn", Command: "turn", Help: "The TURN server."},
	{API: "ldap", Command: "ldap", Help: "Import of users."},
	{API: "branding", Command: "branding", Help: "Own prompts, pictures and texts."},
	{API: "recording", Command: "recording", Cluster: true, Help: "Recording and streaming, so many at a time."},
	{API: "streaming", Command: "streaming", Help: "Streaming beyond that of recording, so many at a time."},
	{API: "personal", Command: "personal", Help: "Personal multiparty licences."},
	{API: "shared", Command: "shared", Help: "Shared multiparty licences."},
	{API: "capacityUnits", Command: "capacity_units", Help: "Kept for clients of older versions; without effect."},
	{API: "customizations", Command: "customizations", Cluster: true, Help: "Custom layouts."},
	{API: "localLicenseMode", Command: "local_license_mode", Explicit: true, ShellOnly: true, Help: "Kept for clients of older versions; without effect."},
}

// Find returns a feature by its name in the API or in the shell, in any case; nil when there is none.
func Find(name string) *Feature {
	i := slices.IndexFunc(Features, func(f Feature) bool { return strings.EqualFold(f.API, name) || strings.EqualFold(f.Command, name) })
	if i < 0 {
		return nil
	}
	return &Features[i]
}

// States are those of all features at a time; a nil licence is [Open].
func (l *Licence) States(now time.Time) []State {
	if l == nil {
		return Open()
	}
	all := make([]State, len(Features))
	for i := range Features {
		all[i] = State{Feature: &Features[i], Status: NoLicense}
		for _, g := range l.Features {
			if g.Feature == Features[i].API {
				all[i] = g.state(&Features[i], now)
			}
		}
	}
	return all
}

// Open are the features of a machine without a licence file: all that do not have to be asked for.
func Open() []State {
	all := make([]State, len(Features))
	for i := range Features {
		all[i] = State{Feature: &Features[i], Status: Activated}
		if Features[i].Explicit {
			all[i].Status = NoLicense
		}
	}
	return all
}

func (g Grant) state(f *Feature, now time.Time) State {
	s := State{Feature: f, Status: Activated, Expiry: g.Expiry, Limit: g.Limit, Level: g.Level}
	if g.Expiry.IsZero() {
		return s
	}
	// The last day counts, in UTC.
	end := g.Expiry.AddDate(0, 0, 1)
	switch {
	case now.Before(end):
	case now.Before(end.AddDate(0, 0, g.Grace)):
		s.Status = Grace
	default:
		s.Status, s.Ended = Expired, end.AddDate(0, 0, g.Grace)
	}
	return s
}

// DateLayout is how licences, the API and the shell write days.
const DateLayout = "2006-Jan-02"

// Days is how many days of a feature remain, today not counted; negative when it has expired.
func Days(expiry, now time.Time) int {
	y, m, d := now.UTC().Date()
	return int(expiry.Sub(time.Date(y, m, d, 0, 0, 0, 0, time.UTC)) / (24 * time.Hour))
}

// Host brings a MAC address or a host ID into the form that is compared.
func Host(s string) string {
	return strings.ToLower(strings.NewReplacer(":", "", "-", "", ".", "").Replace(strings.TrimSpace(s)))
}

// ErrHost says that a licence is for other machines.
type ErrHost struct{ For, This []string }

func (e *ErrHost) Error() string {
	return fmt.Sprintf("the licence is for %s, this machine is %s", strings.Join(e.For, ", "), strings.Join(e.This, ", "))
}

// CheckHost says whether a licence is for a machine, by the MAC address of its interface a or its host ID.
func (l *Licence) CheckHost(this ...string) error {
	if len(l.Hosts) == 0 || slices.ContainsFunc(this, func(h string) bool { return h != "" && slices.Contains(l.Hosts, Host(h)) }) {
		return nil
	}
	return &ErrHost{l.Hosts, this}
}
