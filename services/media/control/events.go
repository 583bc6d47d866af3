package control

import "net/netip"

// The events that a server sends to the client who owns the object. Leg, Conference and Worker say whom it is about.
const (
	// EventTransport: a transport changed its state ("checking", "connected", "failed", "closed").
	EventTransport = "transport"
	// EventCandidates: more local candidates of a transport.
	EventCandidates = "candidates"
	// EventKey: a key tone came (RFC 4733).
	EventKey = "key"
	// EventPlayed: a prompt is through, or was stopped.
	EventPlayed = "played"
	// EventSilent: no packet has come for Leg.SilenceAfter.
	EventSilent = "silent"
	// EventHeard: packets come again after a silence.
	EventHeard = "heard"
	// EventFlood: the leg sent more than it may, and packets are dropped; once a second while it lasts.
	EventFlood = "flood"
	// EventAlarm: packetLoss, excessiveJitter or highRoundTripTime began or ended.
	EventAlarm = "alarm"
	// EventSpeaker: the dominant speaker of a conference changed.
	EventSpeaker = "speaker"
	// EventPanes: what a leg sees changed; for slots, which leg is in which.
	EventPanes = "panes"
	// EventSink: a recording or a push changed its state ("open", "reconnecting", "failed", "closed").
	EventSink = "sink"
	// EventLost: the worker of these legs is gone, or the conference is; put them again to have them elsewhere.
	EventLost = "lost"
	// EventModules: a media worker came (On) or went.
	EventModules = "modules"
)

// Event is one event.
type Event struct {
	Event      string   `json:"event"`
	Worker     string   `json:"worker,omitempty"`
	Leg        string   `json:"leg,omitempty"`
	Legs       []string `json:"legs,omitempty"`
	Conference string   `json:"conference,omitempty"`
	// Transport is an index into Leg.Transports.
	Transport  int             `json:"transport,omitempty"`
	State      string          `json:"state,omitempty"`
	Candidates *TransportState `json:"candidates,omitempty"`
	// Key is one of 0-9*#A-D.
	Key string `json:"key,omitempty"`
	// ID of a prompt or a sink.
	ID string `json:"id,omitempty"`
	// Panes are the legs in the panes or slots, "" for an empty one.
	Panes []string `json:"panes,omitempty"`
	// Alarm and whether it is on.
	Alarm string `json:"alarm,omitempty"`
	On    bool   `json:"on,omitempty"`
	// Text says what went wrong, for logs.
	Text string `json:"text,omitempty"`
	// Cipher is the SRTP suite in use when a transport is connected.
	Cipher string `json:"cipher,omitempty"`
}

// LegStats are the figures of one leg since it began.
type LegStats struct {
	ID         string            `json:"id"`
	Transports []TransportStats  `json:"transports,omitempty"`
	Audio      *AudioStats       `json:"audio,omitempty"`
	Video      []VideoStats      `json:"video,omitempty"`
	Sinks      map[string]string `json:"sinks,omitempty"`
	// Layout is the layout in use, "automatic" resolved.
	Layout string `json:"layout,omitempty"`
}

// TransportStats count packets and bytes (UDP payload).
type TransportStats struct {
	State           string `json:"state"`
	Local           string `json:"local,omitempty"`
	Remote          string `json:"remote,omitempty"`
	Cipher          string `json:"cipher,omitempty"`
	PacketsReceived uint64 `json:"packetsReceived"`
	BytesReceived   uint64 `json:"bytesReceived"`
	PacketsSent     uint64 `json:"packetsSent"`
	BytesSent       uint64 `json:"bytesSent"`
	// Dropped counts by reason: "auth", "replay", "malformed", "flood", "unknown", "keys" (there were none yet), "send".
	Dropped map[string]uint64 `json:"dropped,omitempty"`
}

// StreamStats are of one direction of one stream.
type StreamStats struct {
	Codec   string `json:"codec,omitempty"`
	Packets uint64 `json:"packets"`
	Bytes   uint64 `json:"bytes"`
	// Bitrate in bits per second over the last second.
	Bitrate int `json:"bitrate"`
	// Lost packets, and LossPercent over the last report interval.
	Lost        uint64  `json:"lost"`
	LossPercent float64 `json:"lossPercent"`
	// Jitter and RoundTrip in milliseconds.
	Jitter    float64 `json:"jitter"`
	RoundTrip float64 `json:"roundTrip,omitempty"`
}

// AudioStats are the sound of a leg.
type AudioStats struct {
	Receive StreamStats `json:"receive"`
	Send    StreamStats `json:"send"`
	// Level in dBov of what came last, 0 loudest, -127 silence. Delay is the jitter buffer's in milliseconds.
	Level     int     `json:"level"`
	Delay     float64 `json:"delay"`
	Concealed uint64  `json:"concealed"`
	Late      uint64  `json:"late"`
	Gain      float64 `json:"gain,omitempty"`
}

// VideoStats are one picture stream of a leg.
type VideoStats struct {
	Stream  string      `json:"stream"` // "main" or "presentation"
	Receive StreamStats `json:"receive"`
	Send    StreamStats `json:"send"`
	// Width, Height and frames a second of both directions.
	ReceiveWidth  int     `json:"receiveWidth"`
	ReceiveHeight int     `json:"receiveHeight"`
	ReceiveRate   float64 `json:"receiveRate"`
	SendWidth     int     `json:"sendWidth"`
	SendHeight    int     `json:"sendHeight"`
	SendRate      float64 `json:"sendRate"`
	// Class is how the picture is made: forward, slots, shared or personal.
	Class string `json:"class,omitempty"`
	// KeyFrames asked of the far end, and by it.
	KeyFramesAsked   uint64 `json:"keyFramesAsked"`
	KeyFramesWanted  uint64 `json:"keyFramesWanted"`
	Retransmitted    uint64 `json:"retransmitted"`
	DecodeErrors     uint64 `json:"decodeErrors"`
	EstimatedBitrate int    `json:"estimatedBitrate,omitempty"`
}

// Traffic counts packets. Lost are those of far ends that did not come, Dropped those that were not processed or could not be sent.
type Traffic struct {
	Received uint64 `json:"received"`
	Sent     uint64 `json:"sent"`
	Lost     uint64 `json:"lost"`
	Dropped  uint64 `json:"dropped"`
}

// WorkerStatus is the heartbeat of a worker: twice a second.
type WorkerStatus struct {
	// Name is unique on the machine: "0.3" is worker 3 of media module 0.
	Name   string `json:"name"`
	Module int    `json:"module"`
	CPU    int    `json:"cpu"`
	// Capacity is measured at start, Used the sum over the legs, both in load units; Busy the part of the core in use, 0..1.
	Capacity int     `json:"capacity"`
	Used     int     `json:"used"`
	Busy     float64 `json:"busy"`
	Legs     int     `json:"legs"`
	// TickLate is the p99.9 lateness of the audio tick in ms over the last 10 s.
	TickLate float64 `json:"tickLate"`
	// Memory resident, in bytes.
	Memory uint64 `json:"memory"`
	// Traffic of all legs since the start, those that have ended included.
	Traffic Traffic `json:"traffic"`
	// Exchange is the worker's port for the other workers of its machine.
	Exchange netip.AddrPort `json:"exchange,omitzero"`
}

// Module is one media module as the manager sees it.
type Module struct {
	Number int `json:"number"`
	// Registered and Wanted workers.
	Registered int            `json:"registered"`
	Wanted     int            `json:"wanted"`
	Workers    []WorkerStatus `json:"workers"`
}
