// Package snmp is the verb "snmp" of PID 1's program: an SNMP agent of versions 2c and 3 that can be read and not written, and the
// sender of its notifications.
//
// It owns the sockets on port 161 and the number of its starts (snmpEngineBoots), and knows the machine by the control socket and
// /proc alone, as an unprivileged process that Landlock confines. What it parses comes from anybody: messages, in BER, are read
// by [reader], which never looks beyond what it was given and copies nothing that is longer than the datagram. An answer is one
// datagram of at most [maxMessage] bytes, a source gets a bounded number of them a second, and a question with a wrong community or
// from a wrong address gets none, so there is little to gain from a forged source.
//
// A crash is a restart by PID 1; the boots count on, so that a manager sees it and no old message can be played again.
//
// It follows RFC 3412 (messages), 3414 (USM), 3416 (operations), 3417 (UDP and BER), 3418 (snmp and system groups), 3826 (AES), 7860 (SHA-2), 2863
// (interfaces) and 2790 (host resources), and UCD-SNMP-MIB as managers know it. SNMPv1 gets no answer. Own objects
// are declared in [objects], from which docs/reference/ROTUNDA-MIB.txt is made.
package snmp
