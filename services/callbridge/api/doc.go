// Package api is the application API under /api/v1: the conventions of HTTP that clients count on, logins, failures, XML, and
// create, read, update and delete of every type in package schema's tables. What the rules on a type demand beyond its table comes
// in by [Server.Hook], what is no object of a table by [Server.Handle]; this package knows no rules of its own.
//
// The conventions are those of reference section 1, the lenient ones too: deployed clients spell paths and parameters in
// any case, end paths with a slash, send forms with any content type or none, and write True for true. An unknown parameter is
// ignored; a wrong one is named in parameterError, and all wrong ones at once.
//
// Reads never leave the process: they look at package store's copy. A write has answered 200 only when it is durable. A crash at
// any moment leaves nothing half done here, since a request is one transaction; a client that got no answer asks again.
//
// Everything that comes from outside is bounded: connections, headers, bodies, parameters, time, requests under way, logins under
// way, wrong logins, and every table that grows with clients. A panic ends the request that caused it and nothing else.
//
// Secrets (passwords, passcodes) are in no log: the audit lines name fields and never values.
package api
