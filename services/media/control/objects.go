package control

import (
	"net/netip"
	"time"
)

// Leg is the wanted state of one leg: the media of one endpoint, browser, recorder or other server. A put replaces the
// whole state; what is equal to before goes on without a gap.
//
// A leg is first put without the remote half of its transports, which opens ports and answers with the local half,
// and again with it when the other side's description is there.
type Leg struct {
	// ID is chosen by the client, unique among its legs; at most 64 bytes.
	ID string `json:"id"`
	// Conference the leg is in; empty for a leg that hears only its own prompts (a menu, a lobby).
	Conference string `json:"conference,omitempty"`
	// Near is the conference that a leg in none will probably join (a caller in the lobby): it is placed with it, so that
	// joining changes no ports. A hint for placement only.
	Near string `json:"near,omitempty"`
	// Name is the label that others see.
	Name string `json:"name,omitempty"`
	// Importance: higher is preferred in panes; 0 is none.
	Importance int `json:"importance,omitempty"`
	// Units is what the call was admitted with, 0 for the worker's own estimate (see [Units]).
	Units int `json:"units,omitempty"`

	// Transports are the flows of packets; streams name them by index. With BUNDLE there is one. A leg with none
	// only feeds its sinks: the conference is written or pushed without any packet.
	Transports []Transport `json:"transports,omitempty"`
	Audio      *Audio      `json:"audio,omitempty"`
	// Video is the main picture, Presentation the second one (BFCP floor, browser screen share).
	Video        *Video `json:"video,omitempty"`
	Presentation *Video `json:"presentation,omitempty"`
	// View is what the leg is shown on its main picture.
	View View `json:"view,omitzero"`
	// Sinks write or push the leg's media.
	Sinks []Sink `json:"sinks,omitempty"`
	// SilenceAfter raises [EventSilent] when no packet has come on any transport for so long; 0 means 30 s.
	SilenceAfter Milliseconds `json:"silenceAfter,omitempty"`
}

// Milliseconds is a span of time on the wire.
type Milliseconds int64

// Duration converts.
func (m Milliseconds) Duration() time.Duration { return time.Duration(m) * time.Millisecond }

// Security is how packets of a transport are protected.
type Security string

// The securities.
const (
	Plain Security = ""
	SDES  Security = "sdes"
	DTLS  Security = "dtls"
)

// Transport is the wanted state of one flow: an RTP port and its RTCP port, or one port for both.
type Transport struct {
	// Local are the addresses of this machine that may be used, the first is the default one. One port number serves all.
	Local   []netip.Addr `json:"local"`
	RTCPMux bool         `json:"rtcpMux,omitempty"`
	// Remote is where to send to; nothing is sent before it is known. Unused with ICE.
	Remote     netip.AddrPort `json:"remote,omitzero"`
	RemoteRTCP netip.AddrPort `json:"remoteRtcp,omitzero"`
	// Latch moves Remote to where the first valid packets come from (symmetric RTP behind a NAT, RFC 4961).
	Latch bool `json:"latch,omitempty"`

	Security Security  `json:"security,omitempty"`
	Keys     *Keys     `json:"keys,omitempty"`
	Handover *Handover `json:"dtls,omitempty"`
	ICE      *ICE      `json:"ice,omitempty"`
	// MTU is the largest UDP payload to send; 0 means 1200.
	MTU int `json:"mtu,omitempty"`
	// DSCP marks what is sent.
	DSCP DSCP `json:"dscp,omitzero"`
}

// DSCP are six-bit code points (RFC 2474) of sound, main picture and presentation; RTCP goes with its stream. 0 is not marked.
type DSCP struct {
	Audio        uint8 `json:"audio,omitempty"`
	Video        uint8 `json:"video,omitempty"`
	Presentation uint8 `json:"presentation,omitempty"`
	// Apart: IPv6 has code points of its own, Six; otherwise those above are for both families.
	Apart bool    `json:"apart,omitempty"`
	Six   DSCPSix `json:"six,omitzero"`
}

// DSCPSix are the code points of IPv6.
type DSCPSix struct {
	Audio        uint8 `json:"audio,omitempty"`
	Video        uint8 `json:"video,omitempty"`
	Presentation uint8 `json:"presentation,omitempty"`
}

// Suites of SRTP in the names of RFC 4568 and RFC 7714.
const (
	SuiteAESCM80  = "AES_CM_128_HMAC_SHA1_80"
	SuiteAESCM32  = "AES_CM_128_HMAC_SHA1_32"
	SuiteAEAD128  = "AEAD_AES_128_GCM"
	SuiteAEAD256  = "AEAD_AES_256_GCM"
	DefaultMTU    = 1200
	SilentDefault = 30 * time.Second
)

// Keys are the SDES keys (RFC 4568): key and salt, as base64 on the wire. Never logged.
type Keys struct {
	Suite  string `json:"suite"`
	Local  []byte `json:"local"`
	Remote []byte `json:"remote,omitempty"`
}

// Handover is the DTLS handshake that hands keys to SRTP (RFC 5764).
type Handover struct {
	// Active is true for the side that sends ClientHello.
	Active bool `json:"active,omitempty"`
	// Fingerprints of the remote certificate: "sha-256 AB:CD:…". One must match. No handshake before they are known.
	Fingerprints []string `json:"fingerprints,omitempty"`
}

// ICE is RFC 8445.
type ICE struct {
	// Lite offers host candidates and only answers checks.
	Lite        bool   `json:"lite,omitempty"`
	Controlling bool   `json:"controlling,omitempty"`
	Ufrag       string `json:"ufrag,omitempty"`    // remote
	Password    string `json:"password,omitempty"` // remote
	// Candidates of the remote side as in SDP, without "a=candidate:"; more may come with each put.
	Candidates []string `json:"candidates,omitempty"`
	// Servers give reflexive and relay candidates.
	Servers []Server `json:"servers,omitempty"`
	// RelayOnly uses only relay candidates.
	RelayOnly bool `json:"relayOnly,omitempty"`
	// Restart counts ICE restarts: a higher number makes new credentials and checks.
	Restart int `json:"restart,omitempty"`
}

// Server is a STUN or TURN server: "turn:host:3478?transport=udp".
type Server struct {
	URL      string `json:"url"`
	Username string `json:"username,omitempty"`
	Password string `json:"password,omitempty"`
}

// Codec names.
const (
	PCMU = "PCMU"
	PCMA = "PCMA"
	G722 = "G722"
	Opus = "opus"
	H264 = "H264"
	VP8  = "VP8"
	VP9  = "VP9"
	// L16 is what workers send each other: 48 kHz mono, 16 bits in network order (RFC 3551, 4.5.11). No leg has it.
	L16 = "L16"
)

// Format is one negotiated payload type.
type Format struct {
	PayloadType uint8  `json:"payloadType"`
	Codec       string `json:"codec"`
	// Audio.
	FEC     bool `json:"fec,omitempty"`     // Opus in-band FEC
	DTX     bool `json:"dtx,omitempty"`     // Opus discontinuous transmission
	Bitrate int  `json:"bitrate,omitempty"` // bits per second to send, 0 for the codec's default
	// Video. Level and profile are limits of what may be sent, in the terms of H.264; zero values mean none.
	PacketizationMode int    `json:"packetizationMode,omitempty"`
	ProfileLevel      string `json:"profileLevel,omitempty"` // "42e01f"
	MaxFrameSize      int    `json:"maxFrameSize,omitempty"` // macroblocks, max-fs
	MaxMacroblockRate int    `json:"maxMbps,omitempty"`
	// RTX is the payload type of retransmissions (RFC 4588), 0 for none.
	RTX uint8 `json:"rtx,omitempty"`
}

// Directions of a stream, seen from this server.
type Direction string

// The directions.
const (
	SendReceive Direction = ""
	SendOnly    Direction = "sendonly"
	ReceiveOnly Direction = "recvonly"
	Inactive    Direction = "inactive"
)

// Audio is the wanted state of a leg's sound.
type Audio struct {
	Transport int       `json:"transport"`
	Direction Direction `json:"direction,omitempty"`
	// Send is what we send, Receive everything that may come.
	Send    Format   `json:"send"`
	Receive []Format `json:"receive"`
	// PacketTime to send: 10, 20 or 40 ms; 0 means 20.
	PacketTime Milliseconds `json:"packetTime,omitempty"`
	// DTMF is the payload type of telephone-event (RFC 4733), 0 for none; DTMFClock its clock, 0 for 8000.
	DTMF      uint8 `json:"dtmf,omitempty"`
	DTMFClock int   `json:"dtmfClock,omitempty"`
	// LevelExtension is the header extension of RFC 6464, 0 for none.
	LevelExtension uint8 `json:"levelExtension,omitempty"`
	// MID and its extension tell streams of one bundled transport apart (RFC 8843).
	MID          string `json:"mid,omitempty"`
	MIDExtension uint8  `json:"midExtension,omitempty"`
	// TransportSequence is the extension of transport-wide congestion feedback, 0 for none.
	TransportSequence uint8 `json:"transportSequence,omitempty"`
	// Muted: others do not hear the leg. Deaf: the leg hears nobody (prompts for it alone still play).
	Muted bool `json:"muted,omitempty"`
	Deaf  bool `json:"deaf,omitempty"`
	// Gain evens out loud and quiet microphones.
	Gain bool `json:"gain,omitempty"`
}

// Video is the wanted state of one picture stream in both directions.
type Video struct {
	Transport int       `json:"transport"`
	Direction Direction `json:"direction,omitempty"`
	Send      Format    `json:"send"`
	Receive   []Format  `json:"receive"`
	// MaxWidth, MaxHeight and MaxRate (frames a second) are the quality cap of what is sent (max1080p30, max720p5 …)
	// and what the far end may take; 0 means 1280, 720, 30.
	MaxWidth  int `json:"maxWidth,omitempty"`
	MaxHeight int `json:"maxHeight,omitempty"`
	MaxRate   int `json:"maxRate,omitempty"`
	// SendBitrate and ReceiveBitrate are upper limits in bits per second; 0 means 2,000,000.
	SendBitrate    int `json:"sendBitrate,omitempty"`
	ReceiveBitrate int `json:"receiveBitrate,omitempty"`
	// What the far end said that it understands (RFC 4585, 5104, and REMB).
	NACK  bool `json:"nack,omitempty"`
	PLI   bool `json:"pli,omitempty"`
	FIR   bool `json:"fir,omitempty"`
	TMMBR bool `json:"tmmbr,omitempty"`
	REMB  bool `json:"remb,omitempty"`

	MID               string `json:"mid,omitempty"`
	MIDExtension      uint8  `json:"midExtension,omitempty"`
	TransportSequence uint8  `json:"transportSequence,omitempty"`
	// RIDExtension and RIDs are simulcast layers in the order from small to large (RFC 8853).
	RIDExtension uint8 `json:"ridExtension,omitempty"`
	// RepairedRIDExtension tells whose retransmissions come; without it they are used only where there is one layer.
	RepairedRIDExtension uint8    `json:"repairedRidExtension,omitempty"`
	RIDs                 []string `json:"rids,omitempty"`
	// Slots is how many pictures may be sent side by side for a browser that draws its own layout; 0 means one picture,
	// composed or forwarded. Each slot is an SSRC of its own.
	Slots int `json:"slots,omitempty"`
	// Muted: others do not see the leg. Blind: nothing is sent to it.
	Muted bool `json:"muted,omitempty"`
	Blind bool `json:"blind,omitempty"`
}

// View is what a leg is shown.
type View struct {
	// Layout is a name of the reference: speakerOnly, telepresence, stacked, allEqual, allEqualQuarters, allEqualNinths,
	// allEqualSixteenths, allEqualTwentyFifths, onePlusFive, onePlusSeven, onePlusNine, automatic, onePlusN.
	Layout string `json:"layout,omitempty"`
	// Template is a layout template's panes and overrides Layout.
	Template []Pane `json:"template,omitempty"`
	// SelfPane is skip, self or blank.
	SelfPane string `json:"selfPane,omitempty"`
	// HighestImportance N puts importance N..1 into panes 1..N; 0 is off.
	HighestImportance int `json:"highestImportance,omitempty"`
	// MarkSpeaker marks the active speaker where importance decides who sits where; elsewhere the layout says whether it does.
	MarkSpeaker bool `json:"markSpeaker,omitempty"`
	// Labels shows names; Counter is never, auto or always.
	Labels  bool   `json:"labels,omitempty"`
	Counter string `json:"counter,omitempty"`
	// Screen replaces the meeting by a still: "welcome" or "lobby"; empty shows the meeting. Title is its text.
	Screen string `json:"screen,omitempty"`
	Title  string `json:"title,omitempty"`
	// TitlePosition is top, middle or bottom.
	TitlePosition string `json:"titlePosition,omitempty"`
	// Background is a file of this machine (JPEG or PNG) behind panes and stills.
	Background string `json:"background,omitempty"`
	// PresentationIn draws the presentation into the main picture for a leg without a second stream.
	PresentationIn bool `json:"presentationIn,omitempty"`
	// Message is on-screen text for this leg alone; it precedes the conference's.
	Message Message `json:"message,omitzero"`
	// Pinned is the leg shown in the largest pane.
	Pinned string `json:"pinned,omitempty"`
}

// Pane is one rectangle in parts of a ten-thousandth of the canvas.
type Pane struct {
	X int `json:"x"`
	Y int `json:"y"`
	W int `json:"w"`
	H int `json:"h"`
	// Participant pins a leg to the pane.
	Participant string `json:"participant,omitempty"`
}

// Message is text over the picture.
type Message struct {
	Text string `json:"text,omitempty"`
	// Position is top, middle (the default) or bottom.
	Position string `json:"position,omitempty"`
}

// Sink writes or pushes the media of a leg. What it takes is what the leg is sent: the composed or forwarded picture and
// the mix; for a leg with transports, what the leg receives.
type Sink struct {
	ID string `json:"id"`
	// File is an absolute path of an MP4 to write; exactly one of File and URL is set.
	File string `json:"file,omitempty"`
	// URL is rtmp:// or rtmps:// with the stream key.
	URL string `json:"url,omitempty"`
	// Width, Height and Bitrate of the canvas for a leg without transports.
	Width   int `json:"width,omitempty"`
	Height  int `json:"height,omitempty"`
	Bitrate int `json:"bitrate,omitempty"`
}

// Conference is the wanted state of one conference.
type Conference struct {
	ID string `json:"id"`
	// Message is shown to everybody.
	Message Message `json:"message,omitzero"`
	// Recording and Streaming show their icons.
	Recording bool `json:"recording,omitempty"`
	Streaming bool `json:"streaming,omitempty"`
	// Presenter is the leg whose presentation is shown; empty for none.
	Presenter string `json:"presenter,omitempty"`
	// Participants is the number for the participant count; 0 counts the legs that are here.
	Participants int `json:"participants,omitempty"`
	// JoinTone and LeaveTone sound when a leg comes or goes.
	JoinTone  bool `json:"joinTone,omitempty"`
	LeaveTone bool `json:"leaveTone,omitempty"`

	// What follows tells a worker that others have legs of the conference as well. The manager writes it; what a client writes
	// there is left out. Mix is the number (SSRC) of what this worker's own legs say together, unique on the machine; 0
	// while nobody else has to hear it.
	Mix    uint32  `json:"mix,omitempty"`
	Others []Other `json:"others,omitempty"`
	Guests []Guest `json:"guests,omitempty"`
}

// Other is another worker with legs of the conference.
type Other struct {
	Worker string `json:"worker"`
	// Exchange is where it takes packets ([WorkerStatus]), Mix the number of what its legs say.
	Exchange netip.AddrPort `json:"exchange"`
	Mix      uint32         `json:"mix"`
}

// Guest is a participant whose leg is at another worker.
type Guest struct {
	ID         string `json:"id"`
	Worker     string `json:"worker"`
	Name       string `json:"name,omitempty"`
	Importance int    `json:"importance,omitempty"`
	// Source is the number of its sound and its main picture, Screen that of its presentation; unique on the machine.
	Source uint32 `json:"source"`
	Screen uint32 `json:"screen"`
	// Muted is the microphone. Video: it sends a main picture; VideoMuted: nobody is to see that. Presentation: it sends
	// one that may be seen.
	Muted        bool `json:"muted,omitempty"`
	Video        bool `json:"video,omitempty"`
	VideoMuted   bool `json:"videoMuted,omitempty"`
	Presentation bool `json:"presentation,omitempty"`
}

// Play asks for a prompt: to one leg, or to a whole conference.
type Play struct {
	// ID names the prompt in [EventPlayed]; a second play with a running ID is the same play.
	ID         string `json:"id"`
	Leg        string `json:"leg,omitempty"`
	Conference string `json:"conference,omitempty"`
	// Files are WAV files of this machine, played one after the other; Tone is "join", "leave", "ringback", "busy" or
	// a frequency list such as "440+480/400".
	Files []string `json:"files,omitempty"`
	Tone  string   `json:"tone,omitempty"`
	// Loop repeats until stopped.
	Loop bool `json:"loop,omitempty"`
}

// LegState answers a put: the local half.
type LegState struct {
	ID         string           `json:"id"`
	Worker     string           `json:"worker"`
	Transports []TransportState `json:"transports,omitempty"`
	// SSRCs that we send with: audio, main picture (one a slot), presentation.
	AudioSSRC        uint32   `json:"audioSsrc,omitempty"`
	VideoSSRC        []uint32 `json:"videoSsrc,omitempty"`
	VideoRTX         []uint32 `json:"videoRtx,omitempty"`
	PresentationSSRC uint32   `json:"presentationSsrc,omitempty"`
	PresentationRTX  uint32   `json:"presentationRtx,omitempty"`
	CNAME            string   `json:"cname,omitempty"`
	// Guest is what the leg is to other workers, nil for one that is nobody there. It is for the manager, who keeps it.
	Guest *Guest `json:"guest,omitempty"`
}

// TransportState is the local half of a transport.
type TransportState struct {
	// RTP and RTCP are the local addresses, one for each of [Transport.Local].
	RTP  []netip.AddrPort `json:"rtp"`
	RTCP []netip.AddrPort `json:"rtcp,omitempty"`
	// Fingerprint of our certificate for DTLS: "sha-256 AB:CD:…".
	Fingerprint string   `json:"fingerprint,omitempty"`
	Ufrag       string   `json:"ufrag,omitempty"`
	Password    string   `json:"password,omitempty"`
	Candidates  []string `json:"candidates,omitempty"`
	// Gathered is true when no more candidates will come.
	Gathered bool `json:"gathered,omitempty"`
}

// Units are what a leg costs, in the guide's load units: a 720p30 call is 1000.
const (
	Units1080p30 = 2000
	Units720p30  = 1000
	UnitsSD      = 500
	UnitsAudio   = 55
)
