// Package camera is far-end camera control: H.281 messages in H.224 frames over RTP or SRTP. One [Endpoint] belongs to one leg.
//
// An endpoint tells the far end that cameras can be moved here, passes on what the far end asks for ([Handler.Asked]; the meeting knows whose camera
// is meant, and gives it to that leg's [Endpoint.Send]), and moves the far end's camera one step by [Endpoint.Move].
//
// On IP networks a frame has no flags, no bit stuffing and no check sequence: an RTP payload is one Q.922 frame from its address on. Messages are
// not acknowledged: what starts a movement says how soon it ends by itself, so a lost message never leaves a camera moving, and the first and the last
// message of a step are sent twice.
//
// Invariants: one socket and one goroutine to a leg, which also calls the handler; nothing is sent or heard before [Endpoint.Agree]. Only the
// negotiated far end is heard; when nothing comes from there, the first that sends what was agreed on takes its place. What waits to be sent
// is bounded, and whatever was announced by the far end replaces what it announced before. Keys are never logged.
//
// Nothing is kept on a disk. Source: ITU-T H.224, H.281, H.323 annex Q, RFC 4573, RFC 3711, RFC 7714.
package camera
