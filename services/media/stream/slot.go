package stream

import "slices"

// AssignSlots puts the wanted sources, the most important first, into the slots of a receiver. A source that is in a slot
// stays there, so that a browser's tiles do not jump and no key frame is needed; what is not wanted makes room. There are
// as many slots as current has; 0 is an empty one. Slots is overwritten with the result.
func AssignSlots(slots []uint32, wanted []uint32) {
	if len(wanted) > len(slots) {
		wanted = wanted[:len(slots)]
	}
	for i, source := range slots {
		if source != 0 && (!slices.Contains(wanted, source) || slices.Index(slots, source) < i) {
			slots[i] = 0
		}
	}
	free := 0
	for _, source := range wanted {
		if source == 0 || slices.Contains(slots, source) {
			continue
		}
		for slots[free] != 0 {
			free++
		}
		slots[free] = source
	}
}
