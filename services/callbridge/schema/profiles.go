package schema

// The profiles (reference sections 2.4 to 2.6 and 2.10). A field that a profile leaves open is that of the profile above it, up to
// system/profiles; Fallback is what counts where none of them says anything.

// CallLegProfile says what one participant sees and may do.
var CallLegProfile = declare(Object{
	Name: "callLegProfile", Plural: "callLegProfiles", Methods: CRUD, Missing: "callLegProfileDoesNotExist", UsageFilter: true,
	Help:   "What participants see and may do: layouts, mutes, encryption, qualities, the lobby.",
	Order:  "name",
	Fields: append([]Field{{Name: "name", Kind: Text, Max: 200, List: true, Since: "2.0", Help: "The name that administrators see."}}, legFields...),
})

// legFields are those that a callLegProfile has, and a single call leg or participant may have instead.
var legFields = []Field{
	{Name: "needsActivation", Kind: Bool, Fallback: "false", List: true, Help: "Whether the participant waits in the lobby until somebody is there who does not need activation."},
	{Name: "defaultLayout", Kind: Choice, Values: Layouts, Fallback: "automatic", List: true, Help: "The layout at the beginning."},
	{Name: "layoutTemplate", Kind: Reference, To: "layoutTemplates", Since: "2.8", Help: "A layout of your own, in place of defaultLayout."},
	{Name: "participantLabels", Kind: Bool, Fallback: "false", List: true, Help: "Whether names stand below the pictures."},
	{Name: "participantCounter", Kind: Choice, Values: []string{"never", "auto", "always"}, Fallback: "auto", Since: "2.2", Help: "Whether the picture shows how many participants are not seen."},
	{Name: "meetingTitlePosition", Kind: Choice, Values: []string{"disabled", "top", "middle", "bottom"}, Fallback: "disabled", Since: "3.2", Help: "Where the title of the meeting stands for those in the lobby."},
	{Name: "presentationDisplayMode", Kind: Choice, Values: []string{"dualStream", "singleStream"}, Fallback: "dualStream", List: true, Help: "Whether a presentation is a video stream of its own, or part of the main one."},
	{Name: "presentationContributionAllowed", Kind: Bool, Fallback: "true", List: true, Help: "May present."},
	{Name: "presentationViewingAllowed", Kind: Bool, Fallback: "true", List: true, Help: "Is shown presentations."},
	{Name: "allowAllPresentationContributionAllowed", Kind: Bool, Fallback: "false", Help: "May let everybody present."},
	{Name: "endCallAllowed", Kind: Bool, Fallback: "true", List: true, Help: "May end the meeting for all."},
	{Name: "disconnectOthersAllowed", Kind: Bool, Fallback: "true", Help: "May disconnect others."},
	{Name: "addParticipantAllowed", Kind: Bool, Fallback: "true", Since: "2.3", Help: "May call others into the meeting."},
	{Name: "callLockAllowed", Kind: Bool, Fallback: "false", Help: "May lock and unlock the meeting."},
	{Name: "setImportanceAllowed", Kind: Bool, Fallback: "false", Since: "2.3", Help: "May set the importance of participants."},
	{Name: "changeRoleAllowed", Kind: Bool, Fallback: "false", Since: "3.1", Help: "May change the role of participants."},
	{Name: "muteOthersAllowed", Kind: Bool, Fallback: "false", List: true, Help: "May mute and unmute the audio of others."},
	{Name: "videoMuteOthersAllowed", Kind: Bool, Fallback: "false", List: true, Help: "May stop and start the video of others."},
	{Name: "muteSelfAllowed", Kind: Bool, Fallback: "true", List: true, Help: "May mute and unmute their own audio."},
	{Name: "videoMuteSelfAllowed", Kind: Bool, Fallback: "true", List: true, Help: "May stop and start their own video."},
	{Name: "allowAllMuteSelfAllowed", Kind: Bool, Fallback: "false", Help: "May let everybody mute and unmute themselves."},
	{Name: "changeJoinAudioMuteOverrideAllowed", Kind: Bool, Fallback: "false", Help: "May say whether those who join are muted."},
	{Name: "changeLayoutAllowed", Kind: Bool, Fallback: "true", List: true, Help: "May choose another layout."},
	{Name: "rxAudioMute", Kind: Bool, Fallback: "false", Help: "Whether others do not hear the participant."},
	{Name: "txAudioMute", Kind: Bool, Fallback: "false", Help: "Whether the participant does not hear others."},
	{Name: "rxVideoMute", Kind: Bool, Fallback: "false", Help: "Whether others do not see the participant."},
	{Name: "txVideoMute", Kind: Bool, Fallback: "false", Help: "Whether the participant does not see others."},
	{Name: "joinToneParticipantThreshold", Kind: Number, Max: 100, Fallback: "0", List: true, Help: "Up to how many participants a tone is heard when somebody joins, 0 for never."},
	{Name: "leaveToneParticipantThreshold", Kind: Number, Max: 100, Fallback: "0", List: true, Help: "Up to how many participants a tone is heard when somebody leaves, 0 for never."},
	{Name: "videoMode", Kind: Choice, Values: []string{"auto", "disabled"}, Fallback: "auto", List: true, Help: "Whether there is video at all."},
	{Name: "sipMediaEncryption", Kind: Choice, Values: []string{"optional", "required", "prohibited"}, Fallback: "optional", List: true, Help: "Whether media of SIP calls is encrypted; a licence without media encryption allows prohibited alone."},
	{Name: "audioPacketSizeMs", Kind: Number, Min: 10, Max: 60, Fallback: "20", List: true, Help: "The preferred length of outgoing audio packets in milliseconds: 10, 20 or 40."},
	{Name: "deactivationMode", Kind: Choice, Values: []string{"deactivate", "disconnect", "remainActivated"}, Fallback: "deactivate", List: true, Help: "What becomes of a participant who needs activation when the last one who does not has left."},
	{Name: "deactivationModeTime", Kind: Number, Fallback: "0", List: true, Help: "How many seconds after that it happens."},
	{Name: "telepresenceCallsAllowed", Kind: Bool, Fallback: "false", List: true, Help: "Whether TIP calls of telepresence rooms are accepted."},
	{Name: "sipPresentationChannelEnabled", Kind: Bool, Fallback: "true", List: true, Help: "Whether SIP calls offer a presentation channel and BFCP."},
	{Name: "bfcpMode", Kind: Choice, Values: []string{"serverOnly", "serverAndClient"}, Fallback: "serverOnly", List: true, Help: "Which roles of BFCP are offered."},
	{Name: "qualityMain", Kind: Choice, Values: []string{"unrestricted", "max1080p30", "max720p30", "max480p30"}, Fallback: "unrestricted", Since: "2.2", Help: "The highest quality of main video; max480p30 is 868×480."},
	{Name: "qualityPresentation", Kind: Choice, Values: []string{"unrestricted", "max1080p30", "max720p5"}, Fallback: "unrestricted", Since: "2.2", Help: "The highest quality of presentations."},
	{Name: "maxCallDurationTime", Kind: Number, Min: 1, Since: "2.0", Help: "After how many seconds the participant is disconnected; never, when not set."},
	{Name: "recordingControlAllowed", Kind: Bool, Fallback: "false", Help: "May start and stop recording."},
	{Name: "streamingControlAllowed", Kind: Bool, Fallback: "false", Since: "2.1", Help: "May start and stop streaming."},
	{Name: "controlRemoteCameraAllowed", Kind: Bool, Fallback: "false", Since: "2.8", Help: "May move the cameras of others."},
	{Name: "audioGainMode", Kind: Choice, Values: []string{"disabled", "agc"}, Fallback: "agc", Since: "2.8", Help: "Whether the participant's voice is brought to the loudness of others."},
	{Name: "chatContributionAllowed", Kind: Bool, Fallback: "true", Since: "3.2", Help: "May write chat messages."},
	{Name: "noteContributeAllowed", Kind: Bool, Fallback: "false", Since: "3.4", Help: "May write the notes of the meeting."},
	{Name: "captionerAllowed", Kind: Bool, Fallback: "false", Since: "3.4", Help: "May write captions."},
	{Name: "fileUploadAllowed", Kind: Bool, Fallback: "false", Since: "3.5", Help: "May share files in the chat."},
	{Name: "surveyOpsAllowed", Kind: Bool, Fallback: "false", Since: "3.5", Help: "May hold surveys."},
}

// CallProfile says how a meeting behaves.
var CallProfile = declare(Object{
	Name: "callProfile", Plural: "callProfiles", Methods: CRUD, Missing: "callProfileDoesNotExist", UsageFilter: true,
	Help:  "How meetings behave: limits, locks, recording, streaming, passcodes, chat.",
	Order: "name",
	Fields: []Field{
		{Name: "name", Kind: Text, Max: 200, List: true, Since: "3.2", Help: "The name that administrators see."},
		{Name: "participantLimit", Kind: Number, List: true, Help: "How many participants there may be at once; any number, when not set."},
		{Name: "messageBoardEnabled", Kind: Bool, Fallback: "false", Help: "Kept for clients of older versions; without effect."},
		{Name: "locked", Kind: Bool, Fallback: "false", List: true, Help: "Whether meetings are locked when they begin."},
		{Name: "lockMode", Kind: Choice, Values: []string{"all", "needsActivation"}, Fallback: "needsActivation", Since: "2.9", Help: "Whether a lock keeps everybody in the lobby, or those alone who need activation."},
		{Name: "recordingMode", Kind: Choice, Values: []string{"disabled", "manual", "automatic"}, Fallback: "manual", List: true, Help: "Whether meetings are recorded: never, when somebody says so, always."},
		{Name: "streamingMode", Kind: Choice, Values: []string{"disabled", "manual", "automatic"}, Fallback: "manual", List: true, Since: "2.1", Help: "Whether meetings are streamed: never, when somebody says so, always."},
		{Name: "sipRecorderUri", Kind: Text, Max: 2000, Check: Line, Since: "2.9", Help: "The address that is called to record, and routed by the outbound rules."},
		{Name: "sipStreamerUri", Kind: Text, Max: 2000, Check: Line, Since: "3.0", Help: "The address that is called to stream, and routed by the outbound rules."},
		{Name: "passcodeMode", Kind: Choice, Values: []string{"required", "timeout"}, Fallback: "required", List: true, Help: "Where some ways in have a passcode and others none: whether a blank passcode is to be entered, or counts after a while."},
		{Name: "passcodeTimeout", Kind: Number, Max: 3600, Fallback: "10", List: true, Help: "How many seconds after the end of the prompt a blank passcode counts."},
		{Name: "gatewayAudioCallOptimization", Kind: Bool, Fallback: "false", Since: "2.3", Help: "Whether the far side of a gateway call is called without pictures when the caller offers none."},
		{Name: "lyncConferenceMode", Kind: Choice, Values: []string{"dualHomeCluster", "dualHomeCallBridge", "gateway"}, Fallback: "dualHomeCluster", Since: "2.3", Help: "Whether participants of one Lync conference share a meeting in the cluster, on each Call Bridge, or not at all."},
		{Name: "muteBehavior", Kind: Choice, Values: []string{"separate", "linked"}, Fallback: "separate", Since: "3.2", Help: "Whether a mute by others and the participant's own one are one and the same."},
		{Name: "messageBannerText", Kind: Text, Max: 60, Check: Line, Since: "3.2", Help: "A line above the picture of web app users."},
		{Name: "chatAllowed", Kind: Bool, Since: "3.2", Help: "Whether there is chat; where it is set nowhere, chat is greyed out."},
		{Name: "raiseHandEnabled", Kind: Bool, Fallback: "true", Since: "3.2", Help: "Whether participants may raise a hand."},
		{Name: "notesAllowed", Kind: Bool, Fallback: "false", Since: "3.4", Help: "Whether there are notes of the meeting."},
		{Name: "captionsAllowed", Kind: Bool, Fallback: "false", Since: "3.4", Help: "Whether there are captions."},
		{Name: "backgroundBlurAllowed", Kind: Bool, Fallback: "true", Since: "3.4", Help: "Whether web app users may blur their background."},
		{Name: "fileReceiveAllowed", Kind: Bool, Fallback: "false", Since: "3.5", Help: "Whether files can be shared in the chat."},
		{Name: "surveyAllowed", Kind: Bool, Fallback: "false", Since: "3.5", Help: "Whether there are surveys."},
	},
})

// UserProfile says what a user may do, and whether the user has a personal licence.
var UserProfile = declare(Object{
	Name: "userProfile", Plural: "userProfiles", Methods: CRUD, Missing: "userProfileDoesNotExist", UsageFilter: true,
	Help: "What users may do, and whether they have a personal licence.",
	Fields: []Field{
		{Name: "hasLicense", Aliases: []string{"hasLicence"}, Kind: Bool, Fallback: "false", List: true, Since: "2.0", Help: "Whether the user has a personal licence."},
		{Name: "audioParticipationAllowed", Kind: Bool, Fallback: "true", List: true, Help: "May send and receive audio."},
		{Name: "videoParticipationAllowed", Kind: Bool, Fallback: "true", List: true, Help: "May send and receive video."},
		{Name: "presentationParticipationAllowed", Kind: Bool, Fallback: "true", List: true, Help: "May send and receive presentations."},
	},
})

// CallBrandingProfile is what a meeting sounds like.
var CallBrandingProfile = declare(Object{
	Name: "callBrandingProfile", Plural: "callBrandingProfiles", Methods: CRUD, Missing: "callBrandingProfileDoesNotExist", UsageFilter: true,
	Help: "Prompts and pictures of meetings, and the text of invitations.",
	Fields: []Field{
		{Name: "invitationTemplate", Kind: URL, Values: []string{"http", "https"}, List: true, Help: "Where the text of invitations is fetched from."},
		{Name: "resourceLocation", Kind: URL, Values: []string{"http", "https"}, List: true, Help: "The folder that prompts and pictures are fetched from."},
	},
})

// IVRBrandingProfile is what an IVR sounds like.
var IVRBrandingProfile = declare(Object{
	Name: "ivrBrandingProfile", Plural: "ivrBrandingProfiles", Methods: CRUD, Missing: "ivrBrandingProfileDoesNotExist", UsageFilter: true,
	Help: "Prompts and pictures of IVRs.",
	Fields: []Field{
		{Name: "resourceLocation", Kind: URL, Values: []string{"http", "https"}, List: true, Help: "The folder that prompts and pictures are fetched from."},
	},
})

// DTMFProfile says which keys do what in a meeting.
var DTMFProfile = declare(Object{
	Name: "dtmfProfile", Plural: "dtmfProfiles", Methods: CRUD, Missing: "dtmfProfileDoesNotExist", UsageFilter: true,
	Help: "Which keys do what in a meeting.",
	Fields: []Field{
		keys("muteSelfAudio", "", "Mutes oneself."),
		keys("unmuteSelfAudio", "", "Unmutes oneself."),
		keys("toggleMuteSelfAudio", "", "Mutes oneself, or unmutes."),
		keys("lockCall", "", "Locks the meeting."),
		keys("unlockCall", "", "Unlocks the meeting."),
		keys("muteAllExceptSelfAudio", "", "Mutes everybody else."),
		keys("unmuteAllExceptSelfAudio", "", "Unmutes everybody else."),
		keys("endCall", "", "Ends the meeting for all."),
		keys("nextLayout", "", "Takes the next layout."),
		keys("previousLayout", "", "Takes the layout before."),
		keys("startRecording", "", "Starts recording."),
		keys("stopRecording", "", "Stops recording."),
		keys("startStreaming", "2.1", "Starts streaming."),
		keys("stopStreaming", "2.1", "Stops streaming."),
		keys("allowAllMuteSelf", "", "Lets everybody mute and unmute themselves."),
		keys("cancelAllowAllMuteSelf", "", "Takes that back."),
		keys("allowAllPresentationContribution", "", "Lets everybody present."),
		keys("cancelAllowAllPresentationContribution", "", "Takes that back."),
		keys("muteAllNewAudio", "", "Mutes those who join from now on."),
		keys("unmuteAllNewAudio", "", "Does not mute those who join from now on."),
		keys("defaultMuteAllNewAudio", "", "Leaves it to their profiles whether those who join are muted."),
		keys("muteAllNewAndAllExceptSelfAudio", "", "Mutes everybody else, and those who join."),
		keys("unmuteAllNewAndAllExceptSelfAudio", "", "Unmutes everybody else, and does not mute those who join."),
		keys("getTotalParticipantCount", "2.8", "Says how many participants there are."),
	},
})

// keys is a row of a DTMF profile.
func keys(name, since, help string) Field {
	return Field{Name: name, Kind: Text, Max: 32, Check: Tones, Empty: true, Since: since, Help: help}
}

// DialInSecurityProfile says how long passcodes must be.
var DialInSecurityProfile = declare(Object{
	Name: "dialInSecurityProfile", Plural: "dialInSecurityProfiles", Methods: CRUD, Missing: "dialInSecurityProfileDoesNotExist", UsageFilter: true,
	Since: "3.0", Help: "How long passcodes must be.",
	Order: "name",
	Fields: []Field{
		{Name: "name", Kind: Text, Max: 200, List: true, Help: "The name that administrators see."},
		{Name: "minPasscodeLength", Kind: Number, Max: 200, Fallback: "0", List: true, Help: "The fewest characters that a passcode may have."},
		{Name: "allowOutOfPolicy", Kind: Bool, Fallback: "false", List: true, Help: "Whether shorter passcodes that are there already go on to work, and can be set."},
	},
})

// CompatibilityProfile switches off what other equipment stumbles over.
var CompatibilityProfile = declare(Object{
	Name: "compatibilityProfile", Plural: "compatibilityProfiles", Methods: CRUD, Missing: "compatibilityProfileDoesNotExist", UsageFilter: true,
	Since: "2.1", Help: "What is switched off because other equipment stumbles over it; it counts at system/profiles alone.",
	Fields: []Field{
		{Name: "sipUdt", Kind: Bool, Fallback: "true", List: true, Help: "Whether ActiveControl uses UDT, which participant lists and disconnecting others need."},
		{Name: "sipMultistream", Kind: Bool, Fallback: "true", List: true, Help: "Whether endpoints may have several video streams."},
		{Name: "sipMediaPayloadTypeMode", Kind: Choice, Values: []string{"auto", "broadsoft"}, Fallback: "auto", List: true, Help: "Which RTP payload types are offered; broadsoft makes H.264 109."},
		{Name: "chromeWebRtcVideoCodec", Kind: Choice, Values: []string{"auto", "avoidH264"}, Fallback: "auto", List: true, Help: "Which video codec Chrome gets."},
		{Name: "chromeWebRtcH264interopMode", Kind: Choice, Values: []string{"auto", "none"}, Fallback: "auto", List: true, Since: "2.9", Help: "Whether H.264 for Chrome is made to suit its hardware decoders."},
		{Name: "h264CHPMode", Kind: Choice, Values: []string{"auto", "basic"}, Fallback: "auto", List: true, Help: "How H.264 Constrained High Profile is offered."},
		{Name: "sipH224", Kind: Bool, Fallback: "true", List: true, Since: "2.8", Help: "Whether H.224 for far-end camera control is offered."},
		{Name: "distributionLinkMediaTraversal", Kind: Choice, Values: []string{"enabled", "disabled"}, Fallback: "disabled", List: true, Since: "2.8", Help: "Whether media between Call Bridges may go through TURN."},
	},
})

// LayoutTemplate is a layout of one's own.
var LayoutTemplate = declare(Object{
	Name: "layoutTemplate", Plural: "layoutTemplates", Methods: CRUD, Missing: "layoutTemplateDoesNotExist",
	Since: "2.8", Help: "A layout of your own; its JSON document is at layoutTemplates/<id>/template.",
	Order: "name",
	Fields: []Field{
		{Name: "name", Kind: Text, Max: 200, List: true, Help: "The name that administrators see."},
		{Name: "template", Kind: Text, Max: 64 << 10, Access: Internal, Help: "The JSON document."},
	},
})

// Profiles are the profiles that count where no tenant, space or access method has its own.
var Profiles = declare(Object{
	Name: "profiles", Plural: "profiles", Path: "system/profiles", Methods: Create | Read | Update, Singleton: true,
	Help: "The profiles that count where nothing nearer has its own.",
	Fields: []Field{
		{Name: "callLegProfile", Kind: Reference, To: "callLegProfiles", Empty: true, Help: "What participants see and may do."},
		{Name: "callProfile", Kind: Reference, To: "callProfiles", Empty: true, Help: "How meetings behave."},
		{Name: "dtmfProfile", Kind: Reference, To: "dtmfProfiles", Empty: true, Help: "Which keys do what."},
		{Name: "userProfile", Kind: Reference, To: "userProfiles", Empty: true, Help: "What users may do."},
		{Name: "ivrBrandingProfile", Kind: Reference, To: "ivrBrandingProfiles", Empty: true, Help: "Prompts of IVRs."},
		{Name: "callBrandingProfile", Kind: Reference, To: "callBrandingProfiles", Empty: true, Help: "Prompts of meetings and the text of invitations."},
		{Name: "compatibilityProfile", Kind: Reference, To: "compatibilityProfiles", Empty: true, Since: "2.1", Help: "What is switched off for other equipment."},
		{Name: "dialInSecurityProfile", Kind: Reference, To: "dialInSecurityProfiles", Empty: true, Since: "3.0", Help: "How long passcodes must be."},
		{Name: "webBridgeProfile", Kind: Reference, To: "webBridgeProfiles", Empty: true, Since: "3.0", Help: "How the web app behaves."},
	},
})
