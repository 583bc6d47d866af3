package meeting

import (
	"net/netip"
	"time"

	"rotunda/services/callbridge/profiles"
	"rotunda/services/callbridge/store"
)

// ID names a call, a participant or a leg; the zero ID is none.
type ID = store.ID

// CallType is how a call came about.
type CallType string

// The types, as the API names them.
const (
	SpaceCall   CallType = "coSpace"
	GatewayCall CallType = "forwarding"
	AdHocCall   CallType = "adHoc"
)

// State is how far a leg or a participant is.
type State string

// The states, as the API names them.
const (
	Initial   State = "initial"
	Ringing   State = "ringing"
	Connected State = "connected"
	OnHold    State = "onHold"
	Gone      State = "gone" // never shown; the state of a leg in its last [Change]
)

// Direction is who made a leg's call.
type Direction string

// The directions.
const (
	Incoming Direction = "incoming"
	Outgoing Direction = "outgoing"
)

// Reason is why a leg ended, in the words of callLegEnd records (reference section 3).
type Reason string

// The reasons.
const (
	APITeardown         Reason = "apiInitiatedTeardown"
	CallDeactivated     Reason = "callDeactivated"
	CallEnded           Reason = "callEnded"
	CallMoved           Reason = "callMoved"
	ClientTeardown      Reason = "clientInitiatedTeardown"
	ConfirmationTimeOut Reason = "confirmationTimeOut"
	DNSFailure          Reason = "dnsFailure"
	EncryptionRequired  Reason = "encryptionRequired"
	Failed              Reason = "error"
	IncorrectPasscode   Reason = "incorrectPasscode"
	MenuTimeout         Reason = "ivrTimeout"
	MenuUnknownCall     Reason = "ivrUnknownCall"
	LocalTeardown       Reason = "localTeardown"
	ParticipantLimit    Reason = "participantLimitReached"
	RemoteBusy          Reason = "remoteBusy"
	RemoteRejected      Reason = "remoteRejected"
	RemoteTeardown      Reason = "remoteTeardown"
	RingingTimeout      Reason = "ringingTimeout"
	TenantLimit         Reason = "tenantParticipantLimitReached"
	TimedOut            Reason = "timeout"
	UnknownDestination  Reason = "unknownDestination"
)

// CallInfo is a call at one moment. It is a copy: holders may keep it, nobody changes it.
type CallInfo struct {
	ID         ID
	Type       CallType
	Name       string
	Space      ID // zero where there is none
	Tenant     ID
	Correlator ID // the same on every Call Bridge that the meeting is on
	OwnerName  string
	// Tag is the cdrTag of the space.
	Tag     string
	Started time.Time
	// Legs now, at most at once, and ended.
	Legs, MaxLegs, LegsCompleted int
	Participants                 int
	// Presenter is the leg that presents.
	Presenter ID
	// Speaker is the leg that speaks most.
	Speaker           ID
	Locked            bool
	Recording         bool
	Streaming         bool
	EndpointRecording bool
	EndpointRecorded  bool // at any time
	// RecordingStatus and StreamingStatus say how it is getting on, in words of the API.
	RecordingStatus, StreamingStatus string
	// JoinMute is joinAudioMuteOverride: "true", "false" or "".
	JoinMute string
	// Message and until when it stands; Permanent ones have no end.
	Message          string
	MessagePosition  string
	MessageUntil     time.Time
	MessagePermanent bool
	// Profile are the callProfile's fields in force.
	Profile profiles.Effective
	// Settings are what else the API sets on a call, by schema name (activeWhenEmpty, chatAllowed, panePlacement… and so on).
	Settings map[string]string
}

// ParticipantInfo is a participant at one moment.
type ParticipantInfo struct {
	ID     ID
	Call   ID
	Space  ID
	Tenant ID
	// Name is what people see: an override, or what the far end calls itself.
	Name        string
	URI         string
	OriginalURI string
	UserJID     string
	User        ID
	State       State
	Direction   Direction
	IsActivator bool
	// Deactivated participants wait in the lobby.
	Deactivated bool
	CanMove     bool
	// MovedFrom is the participant that this one was before a move.
	MovedFrom  ID
	Legs       []ID
	Importance *int64
	Layout     string // in use
	AudioMuted bool   // others do not hear them
	VideoMuted bool   // others do not see them
	Speaking   bool   // is the dominant speaker
	Presenting bool
	Recording  bool // an endpoint that records
	HandRaised bool
	// Camera says whether the far end's camera can be moved.
	Camera bool
	// Settings are those set on this participant alone, by the schema names of callLeg's configuration.
	Settings map[string]string
}

// LegInfo is a leg at one moment.
type LegInfo struct {
	ID          ID
	Call        ID // zero in a menu
	Participant ID
	Space       ID
	Tenant      ID
	// Kind is sip or acano (a browser); Sub lync, avaya or "".
	Kind, Sub string
	Name      string
	// Remote is the far end's address without scheme, Original that before it was rewritten, Local ours as it was called.
	Remote, Original, Local string
	// Address is where the far end's signalling comes from.
	Address netip.AddrPort
	SIPID   string // Call-ID
	// Replaces is the Call-ID that this leg took the place of.
	Replaces  string
	Group     ID
	Direction Direction
	State     State
	Began     time.Time
	Connected time.Time // zero before
	// Activated is how long it was not in the lobby.
	Activated time.Duration
	// Menu is set while it is in a menu (IVR).
	Menu bool
	// Method and Member are how it came in; zero for none.
	Method, Member ID
	User           ID
	UserTag        string // cdrTag of the user
	Guest          bool   // not a member
	OwnerID        string
	Deactivated    bool
	Recording      bool // this leg records (or streams) the meeting
	Streaming      bool
	Layout         string
	ChosenLayout   string
	Muted          Mutes
	// Rights are the profile fields in force, by [profiles.Effective].
	Rights profiles.Effective
	// Own are the settings of this leg alone, by schema name; OwnProfile is its callLegProfile.
	Own        map[string]string
	OwnProfile ID
	HandRaised bool
	// NameOverride is nameLabelOverride, "" for none.
	NameOverride string
	// MediaID is the name of its media, for figures by [mixer.Mixer.Stats]: that of the leg, unless it was moved.
	MediaID string
	Media   MediaInfo
	Alarms  []string // packetLoss, excessiveJitter, highRoundTripTime that are on
	// End says why it ended and whether the far end did it; zero before.
	End          Reason
	EndedByOther bool
	Ended        time.Time
	Moved        ID // the leg that it was before a move
	CanMove      bool
}

// Mutes are the four, as the API names them: Rx is what comes from the far end, Tx what goes to it.
type Mutes struct{ RxAudio, TxAudio, RxVideo, TxVideo bool }

// MediaInfo is what signalling agreed on.
type MediaInfo struct {
	Audio, Video, Presentation bool
	// Cipher is "" for unencrypted media; Encrypted and Unencrypted say whether there is such media at all.
	Cipher                 string
	Encrypted, Unencrypted bool
	Camera                 bool // far-end camera control was agreed on
	Bandwidth              int  // bits per second, 0 unknown
}
