package licence

import (
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"rotunda/services/callbridge/store"
)

func id(n byte) store.ID { return uuid.UUID{15: n} }

var began = time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)

// meeting is a full call in a space on one Call Bridge, changed by f.
func meeting(n byte, f func(*Call)) Call {
	c := Call{ID: id(n), Began: began.Add(time.Duration(n) * time.Minute), Space: true, Participants: 5, Local: 5, Video: true, Bridges: 1}
	if f != nil {
		f(&c)
	}
	return c
}

func owned(user byte, licensed bool) func(*Call) {
	return func(c *Call) { c.Claims = []Claim{{id(user), licensed}} }
}

// Guide chapter 17.1.9.
func TestKindsOfCalls(t *testing.T) {
	pair := func(f func(*Call)) Call {
		return meeting(1, func(c *Call) {
			c.Space, c.Participants = false, 2
			if f != nil {
				f(c)
			}
		})
	}
	for name, c := range map[string]struct {
		call Call
		want Kind
	}{
		"meeting in a space":                  {meeting(1, nil), Full},
		"audio meeting":                       {meeting(1, func(c *Call) { c.Video = false }), Audio},
		"audio meeting that is recorded":      {meeting(1, func(c *Call) { c.Video, c.Recording = false, true }), Audio},
		"web app to SIP":                      {pair(nil), PointToPoint},
		"Lync gateway call":                   {pair(nil), PointToPoint},
		"Lync gateway call that is recorded":  {pair(func(c *Call) { c.Recording = true }), Full},
		"point to point that is streamed":     {pair(func(c *Call) { c.Streaming = true }), Full},
		"three without a space":               {pair(func(c *Call) { c.Participants = 3 }), Full},
		"two and a Lync AVMCU":                {pair(func(c *Call) { c.AVMCU = true }), Full},
		"one waiting in a space":              {meeting(1, func(c *Call) { c.Participants = 1 }), Full},
		"two who only speak, without a space": {pair(func(c *Call) { c.Video = false }), Audio},
	} {
		if got := c.call.Kind(); got != c.want {
			t.Errorf("%s is %d, want %d", name, got, c.want)
		}
	}
}

func TestCount(t *testing.T) {
	u := Count([]Call{
		meeting(1, owned(50, true)),
		meeting(2, owned(51, false)), // an owner without a licence
		meeting(3, nil),              // no owner
		meeting(4, func(c *Call) { c.Video = false }),
		meeting(5, func(c *Call) { c.Space, c.Participants, c.Local, c.Recording = false, 2, 2, false }),
		// Escalated ad hoc: the owner has no licence, who escalated has.
		meeting(6, func(c *Call) { c.Claims = []Claim{{id(51), false}, {id(52), true}} }),
		// On four Call Bridges.
		meeting(7, func(c *Call) { c.Bridges, c.Local, c.Streaming = 4, 1, true }),
		meeting(8, func(c *Call) { c.Bridges, c.Recording = 2, true; owned(53, true)(c) }),
	})
	want := Usage{
		Participants: 33, Calls: 8, Weighted: 6.75,
		Personal: []PersonalUse{{id(50), 1, 1}, {id(52), 1, 1}, {id(53), 1, 0.5}},
		Shared:   5, SharedWeighted: 4.25, Audio: 1, PointToPoint: 1, Full: 2.25, Recordings: 1, Streams: 1,
	}
	if d := cmp.Diff(want, u); d != "" {
		t.Errorf("counted (-want +got):\n%s", d)
	}
	if got, want := u.Licences(), 2.25+2.0/6; math.Abs(got-want) > 1e-9 {
		t.Errorf("%.4f shared licences are consumed, want %.4f", got, want)
	}
	if got := u.PersonalLicences(); got != 2.5 {
		t.Errorf("%v personal licences are in use, want 2.5", got)
	}
	if got := Count(nil); got.Calls != 0 || got.Licences() != 0 {
		t.Errorf("no call uses %+v", got)
	}
}

// Guide chapter 17.1.5.1: two calls may be active, one starting while the other finishes; beyond that shared licences are used.
func TestAPersonalLicenceServesTwoCalls(t *testing.T) {
	calls := []Call{meeting(3, owned(50, true)), meeting(1, owned(50, true)), meeting(2, owned(50, true))}
	u := Count(calls)
	if len(u.Personal) != 1 || u.Personal[0].Calls != 2 || u.Shared != 1 || u.Full != 1 {
		t.Errorf("three calls of one owner use %+v, want two on the personal licence", u)
	}
	if u.PersonalLicences() != 1 {
		t.Errorf("two calls of one owner use %v licences, want 1", u.PersonalLicences())
	}
	if calls[0].ID != id(3) {
		t.Error("counting sorts the caller's list")
	}
	// The claim of another user is not asked when the first with a licence has used it up.
	third := meeting(4, func(c *Call) { c.Claims = []Claim{{id(50), true}, {id(51), true}} })
	if u := Count(append(calls, third)); u.Shared != 2 || len(u.Personal) != 1 {
		t.Errorf("got %+v, want the call on a shared licence", u)
	}
}

// The sum over a cluster is the number of distinct calls.
func TestWeightsAddUpOverACluster(t *testing.T) {
	for bridges := 1; bridges <= 24; bridges++ {
		var shared, personal float64
		for range bridges {
			u := Count([]Call{meeting(1, func(c *Call) { c.Bridges = bridges }), meeting(2, func(c *Call) { c.Bridges = bridges; owned(50, true)(c) })})
			shared += u.SharedWeighted
			personal += u.Personal[0].Weighted
		}
		if math.Abs(shared-1) > 1e-9 || math.Abs(personal-1) > 1e-9 {
			t.Errorf("on %d Call Bridges there are %v shared and %v personal calls, want 1 and 1", bridges, shared, personal)
		}
	}
}
