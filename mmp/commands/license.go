package commands

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"time"

	"rotunda/init/licence"
	"rotunda/mmp/grammar"
)

// licenseCommands show what the licence file allows (guide chapter 17.1.12).
func (d Deps) licenseCommands() []grammar.Command {
	return []grammar.Command{{
		Syntax: "license", Roles: readers,
		Help: "Show the licensed features, until when, and how many",
		Detail: "Without a licence file every feature is activated and never expires. A file cms.lic is put by SFTP; the Call Bridge takes it with " +
			"callbridge restart.",
		Run: func(c *grammar.Call) error { return d.showLicence(c, time.Now()) },
	}}
}

func (d Deps) showLicence(c *grammar.Call, now time.Time) error {
	l, err := d.readLicence(c)
	if err != nil {
		c.Printf("Warning: %s is not used: %s\n", licence.FileName, printable(err.Error()))
	}
	if l == nil {
		c.Printf("No licence: every feature is activated\n")
	}
	for _, s := range l.States(now) {
		if s.Status == licence.NoLicense {
			continue
		}
		c.Printf("Feature: %s status: %s expiry: %s%s\n", s.Command, statusWords[s.Status], expiryWords(s, now), limitWords(s))
	}
	return nil
}

// readLicence returns nil when no file counts.
func (d Deps) readLicence(c *grammar.Call) (*licence.Licence, error) {
	if d.Stored == nil {
		return nil, nil
	}
	f, err := d.Stored.OpenStored(licence.FileName)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, licence.MaxSize+1))
	if err != nil {
		return nil, err
	}
	keys, err := licence.Keys(licence.KeyFolder)
	if err != nil {
		return nil, err
	}
	l, err := licence.Parse(b, keys...)
	if err != nil || len(l.Hosts) == 0 {
		return l, err
	}
	list, err := d.Machine.Interfaces(c.Context)
	if err != nil {
		return nil, err
	}
	for _, i := range list {
		if i.Name == "a" {
			if err := l.CheckHost(i.MAC); err != nil {
				return nil, err
			}
			return l, nil
		}
	}
	return nil, errors.New("it is for some machines alone, and this one has no interface a to know it by")
}

var statusWords = map[licence.Status]string{licence.Activated: "Activated", licence.Grace: "Grace", licence.Expired: "Expired"}

func expiryWords(s licence.State, now time.Time) string {
	if s.Expiry.IsZero() {
		return "never"
	}
	days := licence.Days(s.Expiry, now)
	if days < 0 {
		return fmt.Sprintf("%s (%d days ago)", s.Expiry.Format(licence.DateLayout), -days)
	}
	return fmt.Sprintf("%s (%d days remain)", s.Expiry.Format(licence.DateLayout), days)
}

func limitWords(s licence.State) string {
	words := ""
	if s.Limit > 0 {
		words += " limit: " + strconv.Itoa(s.Limit)
	}
	if s.Level != "" {
		words += " level: " + printable(s.Level)
	}
	return words
}
