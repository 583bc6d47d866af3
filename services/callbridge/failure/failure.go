// Package failure has the errors that clients of the API see: codes such as coSpaceDoesNotExist, and parameters that are wrong
// (reference section 1). Rules on objects return them; package api writes them into failureDetails. Every other error is our own
// fault: the client sees 500 and an event number, and the log the rest.
package failure

import "fmt"

// Code is a failure by its name. Whether a path or a parameter named what does not exist, and so 404 or 400, is package
// api's to know.
type Code string

func (c Code) Error() string { return string(c) }

// The codes that are no row of package schema's tables: those of paths and of the system as a whole, and those of rules that a
// table cannot express.
const (
	InvalidOperation   Code = "invalidOperation"
	InvalidVersion     Code = "invalidVersion"
	UnrecognizedObject Code = "unrecognizedObject"
	DatabaseNotReady   Code = "databaseNotReady"

	// Spaces: two ways into one space have the same number and the same passcode; a passcode that a dialInSecurityProfile does not
	// allow; a tenant may not join a group where one of its call IDs is taken.
	DuplicateCoSpaceIDPasscode   Code = "duplicateCoSpaceIdPasscode"
	DuplicateCoSpaceURIPasscode  Code = "duplicateCoSpaceUriPasscode"
	PasscodeTooShort             Code = "passcodeTooShort"
	TenantGroupCoSpaceIDConflict Code = "tenantGroupCoSpaceIdConflict"
	LayoutTemplateTooLong        Code = "layoutTemplateDescriptionTooLong"

	// Directories: an import that has begun, and a template that an import gave.
	LDAPSyncCannotBeCancelled             Code = "ldapSyncCannotBeCancelled"
	UserCoSpaceTemplateDeletionProhibited Code = "userCoSpaceTemplateDeletionProhibited"

	// Meetings that are going on.
	CallRecordingCannotBeModified  Code = "callRecordingCannotBeModified"
	CallStreamingCannotBeModified  Code = "callStreamingCannotBeModified"
	CallLegCannotBeDeleted         Code = "callLegCannotBeDeleted"
	ParticipantCannotBeDeleted     Code = "participantCannotBeDeleted"
	ParticipantCannotBeModified    Code = "participantCannotBeModified"
	ParticipantLimitReached        Code = "participantLimitReached"
	TenantParticipantLimitReached  Code = "tenantParticipantLimitReached"
	RecordingNotAllowedByLicensing Code = "recordingNotAllowedByLicensing"
	StreamingNotAllowedByLicensing Code = "streamingNotAllowedByLicensing"
	CallBridgeUnavailable          Code = "callBridgeUnavailable"
	CallBridgeGroupUnavailable     Code = "callBridgeGroupUnavailable"
	LoadBalancingDisabled          Code = "loadBalancingDisabled"

	// What version 3.0 took away; clients that still ask for it get the code that they know.
	RecorderDoesNotExist    Code = "recorderDoesNotExist"
	StreamerDoesNotExist    Code = "streamerDoesNotExist"
	MessageDoesNotExist     Code = "messageDoesNotExist"
	SIPEndpointDoesNotExist Code = "sipEndpointDoesNotExist"
	DuplicateSIPEndpointURI Code = "duplicateSipEndpointUri"
)

// ParameterError is the element that a [Parameter] is written as.
const ParameterError = "parameterError"

// Parameter is a parameterError: which parameter, and what is wrong with it in the one word that clients compare.
type Parameter struct {
	Name string
	// Fault is one of the words below.
	Fault string
	// Why is a sentence for people: what is wrong and what would be right. It is shown beside the field on our pages and as the
	// attribute "detail"; clients that know only parameter and error ignore it.
	Why string
}

func (p *Parameter) Error() string {
	return fmt.Sprintf("parameter %s: %s: %s", p.Name, p.Fault, p.Why)
}

// What can be wrong with a parameter.
const (
	Invalid   = "invalidValue"
	Missing   = "missing"
	Duplicate = "duplicate"
	TooLong   = "tooLong"
)
