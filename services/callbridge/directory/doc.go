// Package directory imports users from LDAP directories and searches them (guide chapter 5 and appendix F; reference sections
// 2.8 and 5.4): Active Directory, OpenLDAP and Oracle Internet Directory.
//
// It owns the objects that synchronisation makes: users, a personal space for each of them where the mapping says so, the
// membership of its owner, and templates that users get by a filter. It changes nothing else. Clients of the API cannot change users;
// what they change of the fields that a mapping sets is set back by the next synchronisation.
//
// Invariants:
//   - A synchronisation reads all of a source before anybody is removed, and removes nobody when a source could not be read
//     to its end. A connection that breaks, a limit of the directory and a mapping that fits no entry remove no user.
//   - A user is one entry of the directory, known by its GUID, then by the JID: a user who is renamed keeps the space.
//   - A user belongs to the first source, in the order of lists, that has the entry. So one entry in two sources is one user, and where
//     it ends does not depend on which source was synchronised last.
//   - What did not change is not written: a synchronisation of unchanged users is reads alone.
//   - One synchronisation at a time, in batches with a rest between them: others read and write meanwhile.
//
// After a crash or a power cut the synchronisation that ran begins again from the start, which costs reads alone for what was
// written before. One that a restart interrupts twice is failed with ldapError, so that it cannot keep a Call Bridge from running.
//
// Text that comes from a directory is checked as text from a client is; entries and values have bounds ([mostEntries],
// [mostValue], [mostPacket]).
package directory
