package cdr

import (
	"slices"
	"time"

	"rotunda/services/callbridge/meeting"
)

// Figures are what is known of a leg's media when it ends. What is zero is left out of the record.
type Figures struct {
	RxAudio, TxAudio, RxVideo, TxVideo Stream
}

// Stream is one direction of sound or of the main picture.
type Stream struct {
	// Codec in the API's words: g711u, g711a, g722, opus, h264, vp8 …
	Codec string
	// Width and Height of the largest picture.
	Width, Height int
	// Loss is nil where it was not measured.
	Loss *Loss
}

// Loss is how packets were lost, as RFC 3611 section 4.7.2 tells bursts from gaps. Densities are in percent.
type Loss struct {
	BurstDuration, GapDuration time.Duration
	BurstDensity, GapDensity   float64
}

// usage is how a leg's time went by.
type usage struct {
	// from is when it was connected and at up to when it is counted; both zero before.
	from, at time.Time
	// length is up to at.
	length                          time.Duration
	watches, shows, reads, presents time.Duration
	alarms                          map[string]time.Duration
	encrypted, unencrypted          bool
	leg                             *meeting.LegInfo
	presenter                       meeting.ID // of its call
}

// turn counts the time since the last turn by what was known then, and takes what is known now.
func (u *usage) turn(now time.Time, leg *meeting.LegInfo, presenter meeting.ID) {
	if before := u.leg; before != nil && !u.at.IsZero() {
		d := max(0, now.Sub(u.at))
		if before.State == meeting.Connected && before.Call != (meeting.ID{}) && !before.Deactivated {
			if before.Media.Video && !before.Muted.TxVideo {
				u.watches += d
			}
			if before.Media.Video && !before.Muted.RxVideo {
				u.shows += d
			}
			switch {
			case u.presenter == before.ID:
				u.presents += d
			case u.presenter != meeting.ID{} && (before.Media.Presentation || before.Media.Video):
				// Who has no second stream sees it composed into the first.
				u.reads += d
			}
		}
		for i, kind := range before.Alarms {
			if slices.Contains(before.Alarms[:i], kind) {
				continue
			}
			if u.alarms == nil {
				u.alarms = map[string]time.Duration{}
			}
			u.alarms[kind] += d
		}
	}
	if u.from.IsZero() && (leg.State == meeting.Connected || leg.State == meeting.OnHold) {
		u.from = now
		if !leg.Connected.IsZero() && leg.Connected.Before(now) {
			u.from = leg.Connected
		}
		u.at = u.from
	}
	if !u.from.IsZero() {
		u.at = now
		u.length = max(0, now.Sub(u.from))
	}
	u.encrypted = u.encrypted || leg.Media.Encrypted
	u.unencrypted = u.unencrypted || leg.Media.Unencrypted
	u.leg, u.presenter = leg, presenter
}

// share of the leg's time, in percent.
func (u *usage) share(d time.Duration) float64 {
	if u.length <= 0 {
		return 0
	}
	return min(100, 100*float64(d)/float64(u.length))
}

// percent is left out when it is nothing.
func (u *usage) percent(d time.Duration) string {
	if d <= 0 || u.length <= 0 {
		return ""
	}
	return tenth(u.share(d))
}
