package sdp

import "rotunda/services/media/control"

// Encryption is whether media is encrypted: sipMediaEncryption of the API and of Call settings.
type Encryption string

// The settings.
const (
	// Optional encrypts with whoever can: our offers are RTP/AVP with a=crypto, which says that plain media will do as well.
	Optional Encryption = "optional"
	// Required refuses streams that are not encrypted: our offers are RTP/SAVP.
	Required Encryption = "required"
	// Prohibited leaves keys and fingerprints out.
	Prohibited Encryption = "prohibited"
)

// FloorMode is what is offered for the floor of presentations (bfcpMode of the API).
type FloorMode string

// The modes.
const (
	// NoFloor offers and takes no BFCP.
	NoFloor FloorMode = ""
	// ServerOnly is the usual one: endpoints are clients.
	ServerOnly FloorMode = "serverOnly"
	// ServerAndClient also becomes client of a far end that is server only (another conference server).
	ServerAndClient FloorMode = "serverAndClient"
)

// Quality bounds a picture, of what is sent and of what the far end may send. A zero field is no bound of its own.
type Quality struct {
	Width, Height int
	Rate          int // frames a second
}

// MainQuality is qualityMain of the API: unrestricted, max1080p30, max720p30, max480p30; anything else is unrestricted.
func MainQuality(name string) Quality { return qualities[name] }

// PresentationQuality is qualityPresentation of the API: unrestricted, max1080p30, max720p5; anything else is unrestricted.
func PresentationQuality(name string) Quality { return qualities[name] }

var qualities = map[string]Quality{
	"max1080p30": {1920, 1080, 30},
	"max720p30":  {1280, 720, 30},
	"max480p30":  {868, 480, 30},
	"max720p5":   {1280, 720, 5},
}

// Policy is what this side wants. The zero Policy is a telephone call: sound alone, encryption optional.
type Policy struct {
	// Encryption; "" is optional.
	Encryption Encryption
	// Suites are those of SDES, the best first; nil is all that the media engine has (AEAD_AES_256_GCM, AEAD_AES_128_GCM,
	// AES_CM_128_HMAC_SHA1_80, AES_CM_128_HMAC_SHA1_32).
	Suites []string
	// OfferDTLS offers DTLS-SRTP in place of SDES. DTLS-SRTP that the far end offers is taken anyway.
	OfferDTLS bool

	// Video is main video, Presentation a second video stream, Camera far-end camera control (H.224).
	// Without Video there is no Presentation.
	Video, Presentation, Camera bool
	// Floor is BFCP; it is for Presentation and without effect otherwise.
	Floor FloorMode
	// FloorTCP offers TCP/BFCP in place of UDP/BFCP. Both are taken when offered.
	FloorTCP bool
	// ConferenceID, UserID and FloorID are what we tell a client of our floor (a=confid, a=userid, a=floorid); zeros are 1, 1 and 1.
	ConferenceID    uint32
	UserID, FloorID uint16

	// SendBandwidth and ReceiveBandwidth bound all media of the call, in bits per second (sipTransmitBandwidth, sipReceiveBandwidth, or
	// the bandwidth of one call); zeros are 2,500,000. Sound is given 64 kbit/s of it (guide I.3).
	SendBandwidth, ReceiveBandwidth int
	// Audio codecs in the order of preference, by their names in package control; nil is opus, G722, PCMA, PCMU.
	Audio []string
	// VideoCodecs in the order of preference; nil is H264, VP8.
	VideoCodecs []string
	// Main and Screen are the caps of main video and presentation ([MainQuality], [PresentationQuality]). Where there is none the bandwidth
	// decides: 1080p30 from 3.5 Mbit/s, below that 720p30 (guide I.3).
	Main, Screen Quality
	// PacketTime of sound that we send, in milliseconds: 10, 20 or 40; 0 is 20. What the far end asks for precedes it.
	PacketTime int
	// H264PayloadType of our offers, 0 for our own choice; sipMediaPayloadTypeMode broadsoft is 109.
	H264PayloadType uint8
	// BasicH264 offers Constrained Baseline alone (h264CHPMode basic).
	BasicH264 bool

	// ICE is used when the far end offers it, with Lite, RelayOnly and Servers of this; nil ignores what is offered.
	ICE *control.ICE
	// Latch sends to where packets come from, whatever the description says (far ends behind a network address translation).
	Latch bool
	// MTU and DSCP of all transports.
	MTU  int
	DSCP control.DSCP
}
