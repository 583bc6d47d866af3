package spaces

import (
	"strconv"
	"strings"
)

// expand puts an index into a mapping: room$index$ becomes room7. \\ and \$ stand for the characters themselves. The schema has
// checked the mapping; one that is not well formed is taken as it is, so that nothing gets lost.
func expand(mapping string, index int64) string {
	const mark = "$index$"
	var b strings.Builder
	for i := 0; i < len(mapping); i++ {
		switch {
		case mapping[i] == '\\' && i+1 < len(mapping) && (mapping[i+1] == '\\' || mapping[i+1] == '$'):
			i++
			b.WriteByte(mapping[i])
		case strings.HasPrefix(mapping[i:], mark):
			b.WriteString(strconv.FormatInt(index, 10))
			i += len(mark) - 1
		default:
			b.WriteByte(mapping[i])
		}
	}
	return b.String()
}
