package callbridge

import (
	"context"
	"strconv"
	"time"

	"rotunda/init/metrics"
	"rotunda/services/callbridge/api"
	"rotunda/services/callbridge/meeting"
)

// figures are what metrics.Table declares of the Call Bridge. system/status of the API shows the same numbers.
func (b *bridge) figures(ctx context.Context, p *metrics.Page) {
	connected := true
	alarms := b.activeAlarms()
	for _, a := range alarms {
		connected = connected && a.Type != databaseError
	}
	p.Truth("rotunda_database_connected", connected)
	p.Set("rotunda_api_alarms", float64(len(alarms)))
	t := b.calls.live.Totals(ctx)
	p.Set("rotunda_calls", float64(len(b.calls.meetings.Calls())))
	p.Set("rotunda_participants", float64(len(b.calls.meetings.Participants(meeting.ID{}))))
	p.Set("rotunda_call_legs", float64(t.Active))
	p.Set("rotunda_call_legs_most", float64(t.Most))
	p.Set("rotunda_call_legs_completed_total", float64(t.Completed))
	p.Set("rotunda_call_media_bits", float64(t.AudioIn), "audio", "receive")
	p.Set("rotunda_call_media_bits", float64(t.AudioOut), "audio", "transmit")
	p.Set("rotunda_call_media_bits", float64(t.VideoIn), "video", "receive")
	p.Set("rotunda_call_media_bits", float64(t.VideoOut), "video", "transmit")
	p.Set("rotunda_media_load_ratio", float64(b.calls.live.Load(ctx))/1000)
	b.calls.agent.Figures(
		func(direction, method string, n uint64) {
			p.Set("rotunda_sip_requests_total", float64(n), direction, method)
		},
		func(direction, class string, n uint64) {
			p.Set("rotunda_sip_responses_total", float64(n), direction, class)
		})
	for receiver, s := range b.calls.records.Standings() {
		p.Set("rotunda_cdr_waiting", float64(s.Waiting), strconv.Itoa(receiver))
		p.Set("rotunda_cdr_sent_total", float64(s.Sent), strconv.Itoa(receiver))
		p.Set("rotunda_cdr_lost_total", float64(s.Lost), strconv.Itoa(receiver))
	}
	classes, took := b.api.Figures().Requests()
	for i, n := range classes {
		p.Set("rotunda_api_requests_total", float64(n), api.Classes[i])
	}
	p.Set("rotunda_api_seconds_total", took.Seconds())
	now := time.Now()
	for _, s := range b.licences.Licensing.Features() {
		// The last day counts in full.
		if !s.Expiry.IsZero() {
			p.Set("rotunda_licence_seconds_left", s.Expiry.AddDate(0, 0, 1).Sub(now).Seconds(), s.API)
		}
	}
}
