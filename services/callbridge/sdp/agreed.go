package sdp

import (
	"net/netip"

	"rotunda/services/media/control"
)

// Agreed are the facts of a session. Only what is really there is set: a stream with port 0 is not.
type Agreed struct {
	// Audio, Video and Presentation say whether there is such a stream, held or not.
	Audio, Video, Presentation bool
	// AudioCodec and VideoCodec are what we send, by their names in package control.
	AudioCodec, VideoCodec string
	// Cipher is the SDES suite of sound, or else of video; "" with DTLS (the media engine's transport event tells it) and without encryption.
	Cipher string
	// Encrypted and Unencrypted say whether there is RTP of that kind (sound, video, camera).
	Encrypted, Unencrypted bool
	// DTLS says that keys come by a DTLS handshake.
	DTLS bool
	// Bandwidth is what we may send in all, in bits per second; BandwidthReceived what the far end may.
	Bandwidth, BandwidthReceived int
	// HeldByPeer: the far end takes no sound of ours (sendonly, inactive, or an address of zeros). HeldByUs: [Session.Hold] is in force.
	HeldByPeer, HeldByUs bool
	// DTMF says that keys go and come by RFC 4733.
	DTMF bool
	// ICE says that ICE is in use, which puts off sending until its checks are through.
	ICE bool
	// User is o= of the far end, for logs: its product's name often.
	User string

	Floor  *Floor
	Camera *Camera
}

// Floor is an agreed BFCP stream.
type Floor struct {
	// Transport is udp or tcp.
	Transport string
	// Server: we are the floor control server; otherwise the client.
	Server bool
	// Active: we open the connection (tcp).
	Active bool
	// Fresh: a new connection is wanted, not the one that may be there (a=connection:new, tcp).
	Fresh bool
	// Remote is where the far end is; its port is 9 (discard) when it opens the connection.
	Remote netip.AddrPort
	// ConferenceID, UserID and FloorID identify the far end to the server: those of the policy when we are, the far end's otherwise.
	ConferenceID    uint32
	UserID, FloorID uint16
	// Label is that of the presentation stream the floor is for (a=label of the server's description).
	Label string
}

// Camera is an agreed stream of H.224 over RTP.
type Camera struct {
	Remote, RemoteRTCP netip.AddrPort
	// PayloadType to send and to expect.
	SendPayloadType, ReceivePayloadType uint8
	// Keys are nil for plain RTP. Never logged.
	Keys *control.Keys
	// RTCPMux: RTCP comes and goes with RTP.
	RTCPMux bool
	// Held: nothing is to be sent now.
	Held bool
}

// Agreed tells what is offered by the far end and would be taken (after ReadOffer), what we offer (after Prepare), or what was agreed on.
func (s *Session) Agreed() Agreed {
	st := s.current()
	a := Agreed{Bandwidth: s.sendTotal(st), BandwidthReceived: s.policy.receiveBandwidth(), HeldByUs: s.held, User: st.user}
	for i := range st.lines {
		l := &st.lines[i]
		if !l.on {
			continue
		}
		switch l.role {
		case audioRole:
			a.Audio, a.AudioCodec, a.DTMF = true, l.list[0].codec, len(l.dtmf) > 0
			a.HeldByPeer = l.agreed && (l.zeros || !l.theirs.receive)
		case mainRole:
			a.Video, a.VideoCodec = true, l.list[0].codec
			if st.find(audioRole) == nil {
				a.HeldByPeer = l.agreed && (l.zeros || !l.theirs.receive)
			}
		case screenRole:
			a.Presentation = true
		case floorRole:
			f := *l.floor
			a.Floor = &f
			continue
		case cameraRole:
			a.Camera = s.camera(l)
		}
		carrier := st.carrier(l)
		a.ICE = a.ICE || carrier.ice != nil
		if carrier.security == control.Plain {
			a.Unencrypted = true
			continue
		}
		a.Encrypted = true
		a.DTLS = a.DTLS || carrier.security == control.DTLS
		if a.Cipher == "" && l.role != cameraRole && carrier.agreed {
			a.Cipher = carrier.suite
		}
	}
	return a
}

func (s *Session) camera(l *line) *Camera {
	c := &Camera{SendPayloadType: l.list[0].sendPT, ReceivePayloadType: l.list[0].pt, RTCPMux: l.mux, Held: !l.way().send, Remote: l.remote, RemoteRTCP: l.remoteRTCP}
	if l.security == control.SDES {
		c.Keys = &control.Keys{Suite: l.suite, Local: s.key(l, l.suite), Remote: l.remoteKey}
	}
	return c
}
