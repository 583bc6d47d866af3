// Package attendant answers callers before they are in a meeting: the menu (IVR) that asks for a meeting ID, the question for a passcode,
// and the question to those who were called whether they want to join. [Entries] and [ByCallID] say which ways into spaces an address or a
// number leads to.
//
// [Menu], [Passcode] and [Confirm] are state machines without clock, media or lock: they are told keys, ends of prompts and
// time-outs, and answer each with a [Step] that says what is to be done now. What drives one tells it things one at a time. They end by
// themselves: after three wrong tries, after three questions without an answer, or after so many keys that no person is pressing them.
//
// Invariants: a passcode is compared with all that could be meant, in a time that does not depend on them, and is part of no text and
// no log. Somebody who is over the limit of guesses hears the same as somebody who guessed wrong. After the Step that ends a dialogue no
// further one does anything.
//
// There is nothing to lose in a crash but the call itself. Source: guide chapter 7.5, reference section 5.5; guide chapter 5.4 for who may come in.
package attendant
