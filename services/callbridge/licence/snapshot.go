package licence

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Snapshot is what was in use on one Call Bridge at a time (system/MPLicenseUsage).
type Snapshot struct {
	At time.Time
	// Host is the host ID of the Call Bridge.
	Host string
	// Personal licences in use, and Assigned to users.
	Personal float64
	Assigned int
	// Shared licences in use, weighted over the Call Bridges of a call but not by sixths.
	Audio, PointToPoint, Full float64
	Recordings, Streams       int
}

// Take makes a snapshot; assigned is how many users have a personal licence.
func Take(at time.Time, host string, u Usage, assigned int) Snapshot {
	return Snapshot{
		At: at.UTC().Truncate(Interval), Host: host, Personal: u.PersonalLicences(), Assigned: assigned,
		Audio: u.Audio, PointToPoint: u.PointToPoint, Full: u.Full, Recordings: u.Recordings, Streams: u.Streams,
	}
}

// Value is one element of an entry of the API.
type Value struct{ Name, Text string }

// Values are the elements of an entry, none when nothing was in use (reference section 2.11).
func (s Snapshot) Values() []Value {
	if s.empty() {
		return nil
	}
	return []Value{
		{"pmp", decimal(s.Personal)}, {"pmpAssigned", strconv.Itoa(s.Assigned)},
		{"smpAud", decimal(s.Audio)}, {"smpPtP", decimal(s.PointToPoint)}, {"smpFull", decimal(s.Full)},
		{"rec", strconv.Itoa(s.Recordings)}, {"str", strconv.Itoa(s.Streams)},
	}
}

func (s Snapshot) empty() bool {
	return s == Snapshot{At: s.At, Host: s.Host}
}

func decimal(f float64) string { return strconv.FormatFloat(f, 'f', 3, 64) }

// line is how a snapshot is kept: the time and the figures in the order of the API.
func (s Snapshot) line() string {
	return fmt.Sprintf("%s %s %d %s %s %s %d %d\n", s.At.UTC().Format(time.RFC3339), decimal(s.Personal), s.Assigned,
		decimal(s.Audio), decimal(s.PointToPoint), decimal(s.Full), s.Recordings, s.Streams)
}

// parseLine reads what line wrote.
func parseLine(text, host string) (Snapshot, error) {
	words := strings.Split(text, " ")
	if len(words) != 8 {
		return Snapshot{}, fmt.Errorf("%d words, want 8", len(words))
	}
	s := Snapshot{Host: host}
	var err error
	if s.At, err = time.Parse(time.RFC3339, words[0]); err != nil {
		return Snapshot{}, err
	}
	s.At = s.At.UTC()
	if s.At.Year() < 1 || s.At.Year() > 9999 || !s.At.Equal(s.At.Truncate(Interval)) {
		return Snapshot{}, fmt.Errorf("%s is no time of a snapshot", words[0])
	}
	for i, f := range []*float64{1: &s.Personal, 3: &s.Audio, 4: &s.PointToPoint, 5: &s.Full} {
		if f == nil {
			continue
		}
		if *f, err = strconv.ParseFloat(words[i], 64); err != nil || !(*f >= 0) || *f > math.MaxInt32 {
			return Snapshot{}, fmt.Errorf("%q is no figure", words[i])
		}
	}
	for i, n := range []*int{2: &s.Assigned, 6: &s.Recordings, 7: &s.Streams} {
		if n == nil {
			continue
		}
		if *n, err = strconv.Atoi(words[i]); err != nil || *n < 0 {
			return Snapshot{}, fmt.Errorf("%q is no count", words[i])
		}
	}
	return s, nil
}
