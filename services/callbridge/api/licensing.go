package api

import (
	"net/http"
	"strconv"
	"time"

	"rotunda/services/callbridge/failure"
	"rotunda/services/callbridge/store"
)

// Licensing is what licences allow and what is used of them.
type Licensing interface {
	// Features are those of this machine (system/licensing), Cluster those of all (clusterLicensing).
	Features() []Feature
	Cluster() []Feature
	Multiparty(v store.View) Multiparty
	// Personal are the users whose licence a call uses now.
	Personal() []PersonalUse
	// Usage is a page of snapshots, newest first. Zero times and an empty host stand for all.
	Usage(from, to time.Time, host string, offset, limit int) (total int, page []UsageSnapshot)
	// Hosts are the machines of which there are snapshots.
	Hosts() []string
}

// Feature is one of a licence.
type Feature struct {
	Name string
	// Status is noLicense, activated, grace or expired.
	Status string
	// Expiry is zero where there is none, Limit and Level "" where the feature has none.
	Expiry       time.Time
	Limit, Level string
}

// Multiparty is system/multipartyLicensing. Weighted counts are of calls that several Call Bridges share.
type Multiparty struct {
	PersonalLimit, SharedLimit, CapacityUnitLimit       string
	Users, PersonalLicenses                             int
	ParticipantsActive, CallsActive                     int
	WeightedCallsActive                                 float64
	CallsWithoutPersonal                                int
	WeightedCallsWithoutPersonal                        float64
	CapacityUnitUsage, CapacityUnitUsageWithoutPersonal float64
}

// PersonalUse is one user's.
type PersonalUse struct {
	User                store.ID
	CallsActive         int
	WeightedCallsActive float64
}

// UsageSnapshot is what was in use at a time.
type UsageSnapshot struct {
	At   time.Time
	Host string
	// Values are pmp, pmpAssigned, smpAud, smpPtP, smpFull, rec and str, by name; none when nothing was in use.
	Values []Element
}

func (s *Server) licensingRoutes() {
	l := s.system.Licensing
	if l == nil {
		l = noLicensing{}
	}
	s.handleAlone(http.MethodGet, "system/licensing", func(*Call) (Answer, error) {
		return answer(Element{Name: "licensing", Elements: []Element{features(l.Features())}})
	})
	s.handleAlone(http.MethodGet, "clusterLicensing", func(*Call) (Answer, error) {
		return answer(Element{Name: "clusterLicensing", Elements: []Element{features(l.Cluster())}})
	})
	s.Handle(http.MethodGet, "system/multipartyLicensing", func(c *Call) (Answer, error) {
		return answer(multiparty(l.Multiparty(c.View())))
	})
	s.handleAlone(http.MethodGet, "system/multipartyLicensing/activePersonalLicenses", func(c *Call) (Answer, error) {
		all := l.Personal()
		return page(c, Element{Name: "activePersonalLicenses"}, len(all), func(i int) Element {
			return Element{Name: "activePersonalLicense", Attributes: []Attribute{{"userId", all[i].User.String()}}, Elements: []Element{
				number("callsActive", all[i].CallsActive), weighted("weightedCallsActive", all[i].WeightedCallsActive),
			}}
		})
	})
	s.Handle(http.MethodGet, "system/MPLicenseUsage", func(c *Call) (Answer, error) { return usage(c, l) })
	s.Handle(http.MethodGet, "system/MPLicenseUsage/knownHosts", func(c *Call) (Answer, error) {
		all := l.Hosts()
		return page(c, Element{Name: "knownHosts"}, len(all), func(i int) Element {
			return Element{Name: "host", Attributes: []Attribute{{"id", all[i]}}}
		})
	})
}

func features(list []Feature) Element {
	e := Element{Name: "features"}
	for _, f := range list {
		one := Element{Name: f.Name, Elements: []Element{Text("status", f.Status)}}
		if !f.Expiry.IsZero() {
			// As 2022-Aug-08 (reference section 2.11).
			one.add(Text("expiry", f.Expiry.UTC().Format("2006-Jan-02")))
		}
		if f.Level != "" {
			one.add(Text("level", f.Level))
		}
		if f.Limit != "" {
			one.add(Text("limit", f.Limit))
		}
		e.add(one)
	}
	return e
}

func weighted(name string, n float64) Element { return Text(name, strconv.FormatFloat(n, 'f', 3, 64)) }

func multiparty(m Multiparty) Element {
	e := Element{Name: "multipartyLicensing", Elements: []Element{Text("timestamp", time.Now().UTC().Format(time.RFC3339))}}
	for _, limit := range []Element{Text("personalLicenseLimit", m.PersonalLimit), Text("sharedLicenseLimit", m.SharedLimit), Text("capacityUnitLimit", m.CapacityUnitLimit)} {
		if limit.Text != "" {
			e.add(limit)
		}
	}
	e.Elements = append(e.Elements,
		number("users", m.Users), number("personalLicenses", m.PersonalLicenses),
		number("participantsActive", m.ParticipantsActive),
		number("callsActive", m.CallsActive), weighted("weightedCallsActive", m.WeightedCallsActive),
		number("callsWithoutPersonalLicense", m.CallsWithoutPersonal),
		weighted("weightedCallsWithoutPersonalLicense", m.WeightedCallsWithoutPersonal),
		weighted("capacityUnitUsage", m.CapacityUnitUsage),
		weighted("capacityUnitUsageWithoutPersonalLicense", m.CapacityUnitUsageWithoutPersonal))
	return e
}

func usage(c *Call, l Licensing) (Answer, error) {
	var wrong faults
	when := func(name string) time.Time {
		text := c.Params.Get(name)
		if text == "" {
			return time.Time{}
		}
		t, err := time.Parse(time.RFC3339, text)
		if err != nil {
			wrong.add(&failure.Parameter{Name: name, Fault: failure.Invalid, Why: name + " is a time such as 2026-09-23T10:00:00Z"})
		}
		return t
	}
	from, to := when("startTime"), when("endTime")
	offset, limit, err := c.Params.page(rowCap)
	if err != nil {
		wrong.add(err)
	}
	if err := wrong.err(); err != nil {
		return Answer{}, err
	}
	total, list := l.Usage(from, to, c.Params.Get("hostId"), offset, limit)
	root := Element{Name: "MPLicenseUsage", Attributes: []Attribute{{"total", strconv.Itoa(total)}}}
	for _, one := range list {
		root.add(Element{Name: "entry", Attributes: []Attribute{{"time", one.At.UTC().Format(time.RFC3339)}}, Elements: one.Values})
	}
	return answer(root)
}

// noLicensing is that of a Call Bridge without the part that knows.
type noLicensing struct{}

func (noLicensing) Features() []Feature              { return nil }
func (noLicensing) Cluster() []Feature               { return nil }
func (noLicensing) Multiparty(store.View) Multiparty { return Multiparty{} }
func (noLicensing) Personal() []PersonalUse          { return nil }
func (noLicensing) Usage(time.Time, time.Time, string, int, int) (int, []UsageSnapshot) {
	return 0, nil
}
func (noLicensing) Hosts() []string { return nil }
