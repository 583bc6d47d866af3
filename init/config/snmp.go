package config

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"rotunda/init/snmp/usm"
)

// Limits of SNMP: each is far beyond what monitoring systems use.
const (
	MaxSNMPCommunities = 32
	MaxSNMPUsers       = 32
	MaxSNMPTraps       = 16
	// maxSNMPName is of a user (RFC 3414 section 2.4); communities get as much.
	maxSNMPName = 32
	// SNMPEngineSize is the length of an engine identifier that is made here: enterprise, form and twelve random bytes (RFC 3411 section 5).
	SNMPEngineSize = 17
)

// SNMP is what monitoring systems may ask, and who is told. The zero value listens nowhere.
type SNMP struct {
	Enabled     bool            `json:"enabled,omitempty"`
	Communities []SNMPCommunity `json:"communities,omitempty"`
	Users       []SNMPUser      `json:"users,omitempty"`
	Traps       []SNMPTrap      `json:"traps,omitempty"`
	// Engine is what SNMPv3 knows this machine by. It is made once, since the keys of users are good for it alone.
	Engine []byte `json:"engine,omitempty"`
}

// SNMPCommunity is a password of SNMPv2c, which goes over the network as it is.
type SNMPCommunity struct {
	Name string `json:"name"`
	// From is who may use it, the zero value everybody.
	From netip.Prefix `json:"from,omitzero"`
}

// SNMPUser is a user of SNMPv3.
type SNMPUser struct {
	Name string `json:"name"`
	// Auth and Privacy are names of [usm.Auths] and [usm.Privacies].
	Auth    string `json:"auth"`
	Privacy string `json:"privacy"`
	// Key is that of the password for the engine.
	Key []byte `json:"key"`
}

// SNMPTrap is somebody who is told of what happens.
type SNMPTrap struct {
	// Host is a name or an address.
	Host string `json:"host"`
	// Community of SNMPv2c; empty for SNMPv3, by the first user.
	Community string `json:"community,omitempty"`
	// Inform asks for an answer, and repeats what got none.
	Inform bool `json:"inform,omitempty"`
}

// Same says whether both are for one receiver with one community, whichever way it is told.
func (t SNMPTrap) Same(o SNMPTrap) bool {
	return strings.EqualFold(t.Host, o.Host) && t.Community == o.Community
}

// SNMPService is what PID 1 gives to the agent.
type SNMPService struct {
	Enabled     bool            `json:"enabled"`
	Hostname    string          `json:"hostname"`
	Engine      []byte          `json:"engine,omitempty"`
	Communities []SNMPCommunity `json:"communities,omitempty"`
	Users       []SNMPUser      `json:"users,omitempty"`
	Traps       []SNMPTrap      `json:"traps,omitempty"`
	// Approved leaves out users whose algorithms FIPS 140-3 does not allow.
	Approved bool `json:"approved,omitempty"`
}

// Wanted says whether an agent is needed: somebody may ask, or is told.
func (s SNMP) Wanted() bool { return s.Enabled || len(s.Traps) > 0 }

// ValidateSNMPName is for communities and users.
func ValidateSNMPName(name string) error {
	if name == "" || len(name) > maxSNMPName || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return fmt.Errorf("%q is no name for SNMP: use 1 to %d letters, digits and signs", clip(name), maxSNMPName)
	}
	return nil
}

func (s SNMP) validate() error {
	if len(s.Communities) > MaxSNMPCommunities {
		return fmt.Errorf("more than %d SNMP communities: remove one first", MaxSNMPCommunities)
	}
	if len(s.Users) > MaxSNMPUsers {
		return fmt.Errorf("more than %d SNMP users: remove one first", MaxSNMPUsers)
	}
	if len(s.Traps) > MaxSNMPTraps {
		return fmt.Errorf("more than %d receivers of SNMP traps: remove one first", MaxSNMPTraps)
	}
	if len(s.Engine) != 0 && len(s.Engine) != SNMPEngineSize {
		return fmt.Errorf("SNMP engine identifier has %d bytes: it has %d", len(s.Engine), SNMPEngineSize)
	}
	for i, c := range s.Communities {
		if err := ValidateSNMPName(c.Name); err != nil {
			return err
		}
		if c.From.IsValid() && c.From != c.From.Masked() {
			return fmt.Errorf("%s is not a network: use %s", c.From, c.From.Masked())
		}
		if slices.Contains(s.Communities[:i], c) {
			return errors.New("an SNMP community is there twice")
		}
	}
	for i, u := range s.Users {
		if err := ValidateSNMPName(u.Name); err != nil {
			return err
		}
		auth, ok := usm.AuthByName(u.Auth)
		if !ok {
			return fmt.Errorf("SNMP user %s: %q is no way to sign", u.Name, clip(u.Auth))
		}
		if _, ok := usm.PrivacyByName(u.Privacy); !ok {
			return fmt.Errorf("SNMP user %s: %q is no way to encrypt", u.Name, clip(u.Privacy))
		}
		if len(u.Key) != auth.Size() || len(s.Engine) == 0 {
			return fmt.Errorf("SNMP user %s has no key for this machine: add the user anew", u.Name)
		}
		if slices.ContainsFunc(s.Users[:i], func(o SNMPUser) bool { return o.Name == u.Name }) {
			return fmt.Errorf("SNMP user %s is there twice", u.Name)
		}
	}
	for i, t := range s.Traps {
		if _, err := netip.ParseAddr(t.Host); err != nil {
			if err := ValidateHostname(t.Host); err != nil {
				return fmt.Errorf("SNMP trap: %q is neither an address nor a host name", clip(t.Host))
			}
		}
		if t.Community != "" {
			if err := ValidateSNMPName(t.Community); err != nil {
				return err
			}
		} else if len(s.Users) == 0 {
			return fmt.Errorf("SNMP traps for %s need a community or, for SNMPv3, a user: use snmp user add first", t.Host)
		} else if t.Inform {
			return fmt.Errorf("SNMP informs for %s need a community: those of SNMPv3 would need the password itself, which is not kept", t.Host)
		}
		if slices.ContainsFunc(s.Traps[:i], t.Same) {
			return fmt.Errorf("SNMP traps and informs for %s are there twice with one community", t.Host)
		}
	}
	return nil
}
