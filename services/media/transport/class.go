package transport

// Class is the kind of stream that a packet belongs to; it decides the DSCP of what is sent.
type Class uint8

// The classes. RTCP travels in the class of its stream.
const (
	Audio Class = iota
	Video
	Presentation
	classes
)

// SetDSCP sets the six-bit code points (RFC 2474) of the classes; one that is not in the map is sent with 0.
// It applies to packets sent from now on.
func (l *Loop) SetDSCP(points map[Class]uint8) {
	var table [classes]uint8
	for class, point := range points {
		if class < classes {
			table[class] = point & 0x3f
		}
	}
	l.dscp.Store(&table)
}
