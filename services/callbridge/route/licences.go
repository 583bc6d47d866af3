package route

import (
	"rotunda/services/callbridge/licence"
	"rotunda/services/callbridge/meeting"
)

// Effects are what callers notice of missing licences (guide chapter 17.1.2).
func Effects(e licence.Enforcement) meeting.LicenceEffects {
	return meeting.LicenceEffects{
		Message: e.Message, MessageTime: e.MessageTime, Prompt: e.Prompt != "",
		RefuseEncrypted: e.RefuseEncrypted, NoCustomizations: !e.Customizations, MayStart: e.MayStart,
	}
}
