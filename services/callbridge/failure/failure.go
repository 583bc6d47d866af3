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
// table cannot express. What stands behind each is its line in the reference page.
const (
	InvalidOperation   Code = "invalidOperation"   // the object does not allow it, such as deleting a user of a directory
	InvalidVersion     Code = "invalidVersion"     // the path is not that of version v1
	UnrecognizedObject Code = "unrecognizedObject" // the path names nothing
	DatabaseNotReady   Code = "databaseNotReady"   // the database does not answer; try again later

	DuplicateCoSpaceIDPasscode   Code = "duplicateCoSpaceIdPasscode"       // two ways into the space have the same call ID and the same passcode
	DuplicateCoSpaceURIPasscode  Code = "duplicateCoSpaceUriPasscode"      // two ways into the space have the same URI and the same passcode
	PasscodeTooShort             Code = "passcodeTooShort"                 // the dialInSecurityProfile asks for a longer passcode
	TenantGroupCoSpaceIDConflict Code = "tenantGroupCoSpaceIdConflict"     // a call ID of the tenant is taken in the tenant group
	LayoutTemplateTooLong        Code = "layoutTemplateDescriptionTooLong" // the JSON document of the layout is too large

	LDAPSyncCannotBeCancelled             Code = "ldapSyncCannotBeCancelled"             // the import has begun
	UserCoSpaceTemplateDeletionProhibited Code = "userCoSpaceTemplateDeletionProhibited" // an import gave the template, and alone takes it away

	CallRecordingCannotBeModified  Code = "callRecordingCannotBeModified"  // recording cannot be started or stopped in this meeting
	CallStreamingCannotBeModified  Code = "callStreamingCannotBeModified"  // streaming cannot be started or stopped in this meeting
	CallLegCannotBeDeleted         Code = "callLegCannotBeDeleted"         // the call leg cannot be disconnected
	ParticipantCannotBeDeleted     Code = "participantCannotBeDeleted"     // the participant cannot be disconnected
	ParticipantCannotBeModified    Code = "participantCannotBeModified"    // the participant cannot be changed
	ParticipantLimitReached        Code = "participantLimitReached"        // the meeting is full
	TenantParticipantLimitReached  Code = "tenantParticipantLimitReached"  // the tenant's meetings are full
	RecordingNotAllowedByLicensing Code = "recordingNotAllowedByLicensing" // the licences do not allow another recording
	StreamingNotAllowedByLicensing Code = "streamingNotAllowedByLicensing" // the licences do not allow another stream
	CallBridgeUnavailable          Code = "callBridgeUnavailable"          // the Call Bridge does not answer
	CallBridgeGroupUnavailable     Code = "callBridgeGroupUnavailable"     // no Call Bridge of the group answers
	LoadBalancingDisabled          Code = "loadBalancingDisabled"          // the group does not balance its load

	// What version 3.0 took away; clients that still ask for it get the code that they know.
	RecorderDoesNotExist    Code = "recorderDoesNotExist"    // recorders are services, not objects
	StreamerDoesNotExist    Code = "streamerDoesNotExist"    // streamers are services, not objects
	MessageDoesNotExist     Code = "messageDoesNotExist"     // there are no message boards
	SIPEndpointDoesNotExist Code = "sipEndpointDoesNotExist" // there are no endpoints among the objects
	DuplicateSIPEndpointURI Code = "duplicateSipEndpointUri" // there are no endpoints among the objects
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
