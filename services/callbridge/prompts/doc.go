// Package prompts finds the sounds and pictures of menus and meetings: those of a branding profile's web server before those that an
// administrator has put on this machine, and these before what is built in, file by file (guide chapter 2.9, reference sections 2.6 and 5.9).
// The names are those of package prompt.
//
// What comes from outside never reaches a media worker as it came. Recordings are read here and written anew as plain PCM, pictures are decoded
// once to see that they can be; sizes, lengths and numbers are bounded. The results lie in one folder, which media workers read, under names
// made of their content: a file there is whole and never changes, so a prompt that is being played ends as it began. A file that no
// branding has any more goes [retireAfter] later.
//
// Nothing waits for the network: a web server is asked when a call begins ([Library.Prepare]), and until it has answered a call hears what
// was there before. A server that is away changes nothing. Each file that is missing there (404) is that of the machine; each that
// cannot be used is too, and is in [Library.Failures], for the alarms callBrandingResourceInvalid and ivrBrandingResourceInvalid.
//
// The folder belongs to one process, which empties it when it starts: in a crash nothing is lost that is not fetched again.
package prompts
