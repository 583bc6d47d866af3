package snmp

// value is what an object has: one of the tags, and the field that belongs to it.
type value struct {
	tag    byte
	number uint64 // an INTEGER in two's complement
	octets []byte
	name   oid
}

func integer[N ~int | ~int32 | ~int64 | ~uint8](n N) value {
	// Integer32 has 32 bits (RFC 2578 section 7.1.1).
	return value{tag: tagInteger, number: uint64(max(min(int64(n), 1<<31-1), -1<<31))}
}

func text(s string) value { return octets([]byte(s)) }

// octets are cut to what any manager takes of a DisplayString (RFC 2579).
func octets(b []byte) value { return value{tag: tagOctets, octets: b[:min(len(b), 255)]} }

func object(o oid) value { return value{tag: tagOID, name: o} }

// counter32 wraps, gauge32 does not.
func counter32(n uint64) value { return value{tag: tagCounter32, number: n & 0xffffffff} }

func counter64(n uint64) value { return value{tag: tagCounter64, number: n} }

func gauge32(n uint64) value { return value{tag: tagGauge32, number: min(n, 0xffffffff)} }

// ticks are hundredths of a second.
func ticks(n int64) value { return value{tag: tagTimeTicks, number: uint64(n) & 0xffffffff} }

func truth(b bool) value {
	if b {
		return integer(1)
	}
	return integer(2)
}

func (v value) append(to []byte) []byte {
	switch v.tag {
	case tagInteger:
		return signed(to, v.tag, int64(v.number))
	case tagCounter32, tagGauge32, tagTimeTicks, tagCounter64:
		return unsigned(to, v.tag, v.number)
	case tagOID:
		return identifier(to, v.name)
	case tagOctets, tagIPAddress:
		return element(to, v.tag, v.octets)
	}
	// Null and the exceptions have no content.
	return element(to, v.tag, nil)
}

// binding is a name with its value.
type binding struct {
	name  oid
	value value
}

func (b binding) append(to []byte) []byte {
	return element(to, tagSequence, b.value.append(identifier(nil, b.name)))
}

// pdu is one operation (RFC 3416 section 3). Of a GetBulk, status are the non-repeaters and index the repetitions.
type pdu struct {
	kind          byte
	id            int32
	status, index int32
	bindings      []binding
}

const (
	noError            = 0
	tooBig             = 1
	genErr             = 5
	noAccess           = 6
	authorizationError = 16
)

// maxBindings of a question: what fits in a datagram, and no more work than that.
const maxBindings = 128

// readPDU reads a question. Values are not needed, since nothing is set.
func readPDU(r *reader) (p pdu, err error) {
	var content []byte
	if p.kind, content, err = r.take(); err != nil {
		return p, err
	}
	in := reader{content}
	if p.id, err = in.integer(); err != nil {
		return p, err
	}
	if p.status, err = in.integer(); err != nil {
		return p, err
	}
	if p.index, err = in.integer(); err != nil {
		return p, err
	}
	list, err := in.inner(tagSequence)
	for err == nil && len(list.rest) > 0 {
		var one reader
		var name oid
		if one, err = list.inner(tagSequence); err != nil {
			break
		}
		if name, err = one.name(); err != nil {
			break
		}
		if _, _, err = one.take(); err != nil {
			break
		}
		if len(p.bindings) == maxBindings {
			return p, errShort
		}
		p.bindings = append(p.bindings, binding{name: name, value: value{tag: tagNull}})
	}
	return p, err
}

func (p pdu) append(to []byte) []byte {
	content := signed(nil, tagInteger, int64(p.id))
	content = signed(content, tagInteger, int64(p.status))
	content = signed(content, tagInteger, int64(p.index))
	var list []byte
	for _, b := range p.bindings {
		list = b.append(list)
	}
	return element(to, p.kind, element(content, tagSequence, list))
}
