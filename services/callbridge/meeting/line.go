package meeting

import (
	"context"
	"net/netip"

	"rotunda/services/callbridge/mixer"
	"rotunda/services/callbridge/profiles"
)

// Line is the signalling of one leg: a SIP dialog, or a browser. Calls to it return at once and never fail: what comes of them is told by
// [Caller]. They are made in order, under no lock of this package.
type Line interface {
	// Ring says that the far end is being waited for (180).
	Ring()
	// Accept answers an incoming call. Without effect on one that is answered.
	Accept()
	// Hangup refuses or ends the call.
	Hangup(Reason)
	// Present gives the far end the floor of its second stream, or takes it. Grant answers a request of the far end
	// ([Caller.WantsFloor]); Revoke takes the floor from a presenter; Show says whether somebody else presents.
	GrantFloor()
	RevokeFloor()
	ShowPresentation(on bool)
	// Hold stops and resumes media by signalling.
	Hold(on bool)
	// Camera moves the far end's camera: pan left|right, tilt up|down, zoom in|out, focus in|out, each one step.
	Camera(pan, tilt, zoom, focus string)
	// Refer asks the far end to call another address (the end of a move to another Call Bridge).
	Refer(to string)
}

// Adjustable is a [Line] whose media depend on the rights of its leg: encryption, qualities, bandwidth, a second stream. It is told them before
// Ring and Accept, and again when they change.
type Adjustable interface {
	Adjust(rights profiles.Effective)
}

// Signaller is a [Line] that knows how its far end takes key tones, by RTP or by signalling.
type Signaller interface {
	SendKeys(keys string)
}

// Filmed is a [Line] whose far end may move a camera: that of another line, in a call between two; nil is nobody's.
type Filmed interface {
	CameraOf(other Line)
}

// Caller is what a [Line] tells of its leg. *Leg is one. Its methods do not wait.
type Caller interface {
	// Progress: the far end of an outgoing call rings.
	Ringing()
	// Answered: media flow both ways from now on. who the far end says that it is may have changed.
	Answered(Identity, MediaInfo)
	// Changed: media were agreed on anew, or the far end's identity was.
	Changed(Identity, MediaInfo)
	// Held and resumed by the far end.
	Held(on bool)
	// Ended: the call is over. remote says that the far end did it.
	Ended(why Reason, remote bool)
	// Key is a key tone that came by signalling (INFO, KPML); those of RTP come by package mixer.
	Key(key rune)
	// WantsFloor and LeavesFloor are the far end's second stream.
	WantsFloor()
	LeavesFloor()
	// EndpointRecords: the far end says that it records (RFC 7866).
	EndpointRecords(on bool)
	// Retargeted: this line took the place of another one of the same leg (Replaces).
	Retargeted(Identity)
}

// Identity is who a far end says that it is.
type Identity struct {
	// Name may be empty; Address is without scheme.
	Name, Address string
	From          netip.AddrPort
	SIPID         string
}

// Arrival is an incoming call before anybody knows what it is for.
type Arrival struct {
	Line  Line
	Media *mixer.Leg
	Identity
	Kind, Sub string
	// Called is the address that was called, Original that before somebody rewrote it (History-Info, Diversion, To).
	Called, Original string
	Replaces         string
	// Vouched: somebody whom the dial plan names stands behind the caller's address; otherwise it is what the caller says.
	Vouched bool
	// Secure signalling (TLS).
	Secure bool
	Offer  MediaInfo // what the far end offers; with a late offer, what we will offer
	// Recorder and Streamer mark calls of ours to such servers.
	Recorder, Streamer bool
}

// Dialer makes outgoing calls. Dial returns at once; what comes of it the caller is told.
type Dialer interface {
	Dial(ctx context.Context, d Dial, c Caller) (Line, *mixer.Leg)
}

// Dial is an outgoing call.
type Dial struct {
	Leg ID
	// To is what was asked for: an address, or a number; dial transforms and rules decide the rest.
	To string
	// Tenant is whose call it is. FromName and From are who calls; From is empty for the default of the space.
	Tenant         ID
	FromName, From string
	// PreserveFrom keeps From whatever an outbound rule says; Forwarded leaves the dial transforms out.
	PreserveFrom, Forwarded bool
	// Bandwidth in bits per second, 0 for that of call settings.
	Bandwidth int
	// Encryption of media: optional, required, prohibited, or "" for that of call settings.
	Encryption string
	NoVideo    bool
	NoPresent  bool
	// Rights are those of the leg, as Adjust tells them later; nil where there are none.
	Rights *profiles.Effective
	// Streaming: whom we call records or streams.
	Streaming bool
	// Headers are for recorders and streamers.
	Headers [][2]string
}
