// Package webadmin is the HTTPS front of a Call Bridge: the admin pages and the REST API (deployment guide chapters 2.1, 4.4, 5.2, 6.2,
// 7.3 and 16.1, appendix I; the API's reference section 1 on its explorer): the verb "webadmin" of the program services.
//
// # What it owns
//
// The port of "webadmin listen" on every address of the chosen interface, port 80 when http-redirect is on, and 127.0.0.1:8081, where the API
// and events alone are served without TLS. What it shows and changes is not its own: /api/ goes to the Call Bridge's unix socket as it
// came, and so does the WebSocket below /events/ (guide 18.2); the pages use the same API over that socket, with the name of whoever is signed in. So a page can do nothing that a
// script cannot, and the Call Bridge's rules, failure codes and audit lines count for both.
//
// The pages are rendered here and work without script: the one script adds convenience (progress without reloading, a filter as one
// types, a warning before typed values are left). Forms follow from the tables of package schema.
//
// # Invariants
//
// No page is shown and nothing is changed without a session. A session belongs to one account and one source of sign-in; it ends after
// [idleLimit] without use and after [absoluteLimit] in any case, when one signs out, and when this process ends: sessions are in
// memory alone, so a crash signs everybody out and loses nothing else. Every change needs the session's own token and a
// request that the browser itself marks as from the same origin. Bodies, headers, times and the number of sessions are bounded.
//
// A form that is refused comes back with everything that was typed; only what was changed in it is sent, so that two people who edit
// different fields of one object do not undo each other's work.
package webadmin
