package meeting

import (
	"rotunda/services/callbridge/prompts"
	"rotunda/services/callbridge/prompts/prompt"
)

// FromLibrary makes the prompts of meetings of the system's library.
func FromLibrary(l *prompts.Library) Prompts { return library{l} }

type library struct{ *prompts.Library }

// Prepare asks the web server of a location for what has changed.
func (l library) Prepare(kind prompt.Kind, location string) { l.For(kind, location) }
