// Package route says what an incoming SIP call is for: an IVR, a space, a call that is forwarded, or nothing. It asks the dial plan which targets
// the address may name ([dialplan.Plan.Incoming]), looks them up among the objects, and returns a [meeting.Target]. What licences ask of meetings
// (guide chapter 17.1.2) is turned into the words of package meeting here too.
//
// Decisions are pure: they depend on the plan, the objects and the call, and nothing is kept between calls. Each is one line of the log; while SIP
// is traced, the rules that were looked at follow it.
//
// Users: a call whose address is a user's reaches the app that the user is signed in to. Where none is, as with every user whose app
// cannot be called, the address goes on to spaces, then to the forwarding rules (guide chapter 8.4: whoever uses another client elsewhere is
// reached there); if nothing takes it, the far end hears that the user is unavailable rather than unknown.
//
// Loops: a call that this Call Bridge forwards carries what it has forwarded; one that comes back with the same address is refused. Guide chapter
// 6.2.3 warns of rules that make such loops.
//
// Nothing is kept on a disk. Source: guide chapters 6, 7, 8.1 to 8.4 and 17.1.2; reference sections 2.7, 5.1, 5.2 and 5.11.
package route
