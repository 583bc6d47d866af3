package manager

import (
	"fmt"
	"strings"

	"rotunda/services/media/control"
)

// StatusLine is the line of the deployment guide's chapter 16.4:
//
//	media module status 1111110 (1111111/1111111) 6/7 (reduced media capacity)
//
// A digit stands for a module, that of module 0 first. The first group are the modules that are up: every worker that
// they should have is registered. In the brackets are those of which at least one worker is, and those that the board
// has. The numbers count the first and the last group. With all up it is full media capacity, with no worker at all no
// media capacity, otherwise reduced.
func StatusLine(modules []control.Module) string {
	var up, some, wanted strings.Builder
	var nUp, nSome, nWanted int
	for _, m := range modules {
		n := digit(&wanted, m.Wanted > 0)
		nWanted += n
		nUp += digit(&up, n > 0 && m.Registered >= m.Wanted)
		nSome += digit(&some, m.Registered > 0)
	}
	capacity := "reduced"
	switch {
	case nSome == 0:
		capacity = "no"
	case nUp == nWanted:
		capacity = "full"
	}
	return fmt.Sprintf("media module status %s (%s/%s) %d/%d (%s media capacity)", up.String(), some.String(), wanted.String(), nUp, nWanted, capacity)
}

func digit(b *strings.Builder, on bool) int {
	if on {
		b.WriteByte('1')
		return 1
	}
	b.WriteByte('0')
	return 0
}
