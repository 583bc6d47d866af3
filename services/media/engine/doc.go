// Package engine carries the media of one worker: it makes what the wanted state of legs and conferences says (package
// control) out of the parts beside it. It knows no SIP and no network protocol but RTP; a control client and packets are
// all it needs.
//
// # Threads
//
//	network    transport.Loop       packets come, are forwarded, and fill jitter buffers and access units
//	sound      audio.Ticker         every 20 ms each room is mixed and what its listeners get is sent
//	decoding   decoding             access units become frames; nice 10
//	pictures   director             30 times a second scenes are drawn, encoded once and sent to all who watch; nice 10
//	reporter   reporter             RTCP, alarms, silence, what senders hold back
//
// A worker has one core for all of them. The order of importance is that of the list: a late picture is seen by few, a late
// packet of sound is heard by everybody.
//
// # Who owns what
//
// A [leg] is changed by control threads, one at a time. The threads above read it through atomic pointers and never wait for a
// change. A [flow] is one transport of a leg, a [sound] its voice, a [contribution] a picture that comes, a [display] one
// that goes. What is shown where belongs to the director alone: a [stage] for each conference, a [composition] for each
// different picture in it, an [encode] for each way that somebody wants it in. It is told to look again by
// conference.changed, and otherwise keeps time.
//
// A picture is made in the cheapest of four ways (see [class]): forwarded, side by side in slots, encoded once for all who
// watch the same, or encoded for one leg alone.
//
// # Several workers
//
// A conference may have legs on other workers of the machine as well; here they are guests (see [guest]). Each worker sends the
// others what its own legs say together, one packet of L16 every 20 ms and none while they are silent, with the number of who
// leads among them as its contributor; and of their pictures those layers that somebody there looks at, packet by packet. All of it
// goes through one port, the [exchange], and is told apart by its SSRC: every mix and every layer has a random number.
// What comes from one worker is never passed on to a third (see [mesh]), so there are no loops, and everything else here
// treats a guest's layer like one of a leg: it is decoded while a composition shows it, and forwarded where that will do.
//
// # Crashes
//
// Nothing is kept on disk but recordings, which are readable files at any time (package record). A worker that dies takes its legs
// with it; the manager tells their owners, who put them again. When the control connection is lost everything goes on until
// the owner's grace is over (package control).
package engine
