package snmp

import (
	"crypto/subtle"
	"errors"
	"fmt"
)

var (
	errModel = errors.New("security model is not the user-based one")
	usmStats = mustOID("1.3.6.1.6.3.15.1.1")
)

// maxEngine is the longest engine identifier (RFC 3411 section 5), maxUser the longest name (RFC 3414 section 2.4).
const (
	maxEngine = 32
	maxUser   = 32
)

// readHeader reads a message of SNMPv3 up to its scoped PDU.
func readHeader(body *reader) (h header, err error) {
	global, err := body.inner(tagSequence)
	if err != nil {
		return h, err
	}
	if h.id, err = global.natural(); err != nil {
		return h, err
	}
	if h.most, err = global.natural(); err != nil {
		return h, err
	}
	if h.most < leastMessage {
		return h, fmt.Errorf("messages of at most %d bytes", h.most)
	}
	flags, err := global.want(tagOctets)
	if err != nil {
		return h, err
	}
	if len(flags) != 1 {
		return h, fmt.Errorf("flags of %d bytes", len(flags))
	}
	h.flags = flags[0]
	model, err := global.integer()
	if err != nil {
		return h, err
	}
	if model != userSecurity {
		return h, errModel
	}
	outer, err := body.inner(tagOctets)
	if err != nil {
		return h, err
	}
	in, err := outer.inner(tagSequence)
	if err != nil {
		return h, err
	}
	if h.engine, err = in.want(tagOctets); err != nil {
		return h, err
	}
	if h.boots, err = in.natural(); err != nil {
		return h, err
	}
	if h.time, err = in.natural(); err != nil {
		return h, err
	}
	if h.user, err = in.want(tagOctets); err != nil {
		return h, err
	}
	if h.signature, err = in.want(tagOctets); err != nil {
		return h, err
	}
	if h.salt, err = in.want(tagOctets); err != nil {
		return h, err
	}
	if len(h.engine) > maxEngine || len(h.user) > maxUser {
		return h, errors.New("engine or user longer than can be")
	}
	return h, nil
}

// append makes a message of a header and a scoped PDU, and says where its signature goes.
func (h header) append(scoped []byte) (message []byte, signature int) {
	global := signed(nil, tagInteger, int64(h.id))
	global = signed(global, tagInteger, int64(h.most))
	global = element(global, tagOctets, []byte{h.flags})
	global = signed(global, tagInteger, userSecurity)

	in := element(nil, tagOctets, h.engine)
	in = signed(in, tagInteger, int64(h.boots))
	in = signed(in, tagInteger, int64(h.time))
	in = element(in, tagOctets, h.user)
	in = element(in, tagOctets, h.signature)
	in = element(in, tagOctets, h.salt)

	body := signed(nil, tagInteger, version3)
	body = element(body, tagSequence, global)
	body = element(body, tagOctets, element(nil, tagSequence, in))
	body = append(body, scoped...)
	message = element(nil, tagSequence, body)
	// From the end: the scoped PDU, the salt, and before it the signature.
	return message, len(message) - len(scoped) - (2 + len(h.salt)) - len(h.signature)
}

// genuine says whether a message is signed by a user: its signature is over the message with zeros in its own place, and that is where
// it was read (RFC 3414 section 6.3.2).
func genuine(person keyed, message []byte, h header) bool {
	if len(h.signature) != person.auth.Signature {
		return false
	}
	// The signature is a part of the message's own array.
	at := cap(message) - cap(h.signature)
	if at < 0 || at+len(h.signature) > len(message) {
		return false
	}
	blank := append([]byte(nil), message...)
	clear(blank[at : at+len(h.signature)])
	return subtle.ConstantTimeCompare(person.auth.Sign(person.Key, blank), h.signature) == 1
}

// peek reads the number of a plain question, 0 if it cannot be read.
func peek(body reader) int32 {
	scoped, err := body.inner(tagSequence)
	if err != nil {
		return 0
	}
	for range 2 {
		if _, err := scoped.want(tagOctets); err != nil {
			return 0
		}
	}
	_, content, err := scoped.take()
	if err != nil {
		return 0
	}
	in := reader{content}
	id, err := in.integer()
	if err != nil {
		return 0
	}
	return id
}
