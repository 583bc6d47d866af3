package leg

import (
	"fmt"

	"rotunda/services/callbridge/meeting"
	"rotunda/services/callbridge/sip"
)

// refusal is how a call that was not answered is refused.
type refusal struct {
	code int
	text string // of the status line; "" for the usual one
	// warning is the text of a Warning header (399, RFC 3261 20.43), "" for none.
	warning string
}

// refusals by the meeting's reasons.
var refusals = map[meeting.Reason]refusal{
	meeting.UnknownDestination:  {404, "Not Found", "nobody here has this address"},
	meeting.MenuUnknownCall:     {404, "Not Found", "no meeting has this number"},
	meeting.DNSFailure:          {404, "Not Found", "the address could not be looked up"},
	meeting.ParticipantLimit:    {486, "Busy Here", "the meeting has as many participants as it may have"},
	meeting.TenantLimit:         {486, "Busy Here", "the tenant has as many participants as it may have"},
	meeting.RemoteBusy:          {486, "Busy Here", ""},
	meeting.RemoteRejected:      {603, "Decline", ""},
	meeting.IncorrectPasscode:   {403, "Forbidden", "the passcode was wrong"},
	meeting.MenuTimeout:         {403, "Forbidden", "no meeting was chosen in time"},
	meeting.ConfirmationTimeOut: {480, "Temporarily Unavailable", "the call was not confirmed in time"},
	meeting.EncryptionRequired:  {488, "Not Acceptable Here", "media encryption is required"},
	meeting.CallDeactivated:     {480, "Temporarily Unavailable", "the meeting is not active"},
	meeting.RingingTimeout:      {480, "Temporarily Unavailable", "nobody answered"},
	meeting.TimedOut:            {480, "Temporarily Unavailable", "no answer came in time"},
	meeting.Failed:              {503, "Service Unavailable", ""},
}

// refusalFor is how a reason is told to a caller who was not answered. Reasons that are no refusals (the meeting ended meanwhile, the
// administrator hung up) make the called side unavailable.
func refusalFor(why meeting.Reason) refusal {
	if r, ok := refusals[why]; ok {
		return r
	}
	return refusal{code: 480, text: "Temporarily Unavailable"}
}

// warning is a Warning header. Its text must not have quotes.
func warning(code int, text string) sip.Header {
	return sip.Header{Name: "Warning", Value: fmt.Sprintf("%d rotunda %q", code, text)}
}

// partings are what a BYE says in its Reason header.
var partings = map[meeting.Reason]string{
	meeting.APITeardown:         "disconnected by the administrator",
	meeting.CallDeactivated:     "the meeting is not active any more",
	meeting.CallEnded:           "the meeting is over",
	meeting.CallMoved:           "moved",
	meeting.ClientTeardown:      "disconnected by a participant",
	meeting.ConfirmationTimeOut: "the call was not confirmed in time",
	meeting.EncryptionRequired:  "media encryption is required",
	meeting.IncorrectPasscode:   "the passcode was wrong",
	meeting.MenuTimeout:         "no meeting was chosen in time",
	meeting.MenuUnknownCall:     "no meeting has this number",
	meeting.ParticipantLimit:    "the meeting has as many participants as it may have",
	meeting.TenantLimit:         "the tenant has as many participants as it may have",
	meeting.TimedOut:            "the time is over",
	meeting.Failed:              "no media",
}

// reasonFor is why a call of ours came to nothing.
func reasonFor(e sip.End, required bool) meeting.Reason {
	switch {
	case e.Busy:
		return meeting.RemoteBusy
	case e.Lookup:
		return meeting.DNSFailure
	case e.RingTimeout:
		return meeting.RingingTimeout
	}
	switch code := e.Code; {
	case code == 486 || code == 600:
		return meeting.RemoteBusy
	case code == 404 || code == 410 || code == 414 || code == 416 || code == 484 || code == 485 || code == 604 || code >= 300 && code < 400:
		return meeting.UnknownDestination
	case code == 408 || code == 480 || code == 504:
		return meeting.TimedOut
	case (code == 488 || code == 606) && required:
		return meeting.EncryptionRequired
	case code >= 500 && code < 600:
		return meeting.Failed
	case code >= 400:
		return meeting.RemoteRejected
	case e.Timeout:
		return meeting.TimedOut
	}
	return meeting.Failed
}

// reasonAfter is why a call ended that was up, or that was never answered by us.
func reasonAfter(e sip.End) meeting.Reason {
	switch {
	case e.Timeout:
		return meeting.TimedOut
	case e.Remote || e.Canceled:
		return meeting.RemoteTeardown
	}
	return meeting.Failed
}

// final says whether a refusal is the called person's own, so that other ways to reach them are not tried: they are busy, they
// declined, or their telephone rang. What a proxy or an address says leaves other rules a chance (failureAction continue).
func final(e sip.End, rang bool) bool {
	return rang || e.Busy || e.RingTimeout || e.Canceled || e.Code == 486 || e.Code == 487 || e.Code >= 600
}
