package webadmin

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"rotunda/services/callbridge/schema"
)

// directoryExtra is what the Active Directory page has beside its form.
type directoryExtra struct {
	// Ready says that there is something to import from.
	Ready bool
	Syncs []syncRow
}

// syncRow is one synchronisation.
type syncRow struct {
	ID, State, Word, Detail string
	Users                   int64
	Sources                 int64
	Over                    bool
}

// maxOwnSyncs are remembered, so that their results can be cleared when the next one starts.
const maxOwnSyncs = 16

// directory is Configuration > Active Directory (guide 5.2): one LDAP server, what to import from it and how users and spaces are
// named. Three objects of the API are behind it.
func (v *visit) directory() {
	servers, mappings, sources := schema.Of("ldapServers"), schema.Of("ldapMappings"), schema.Of("ldapSources")
	p := &sections{Submit: "Save", Directory: &directoryExtra{}}
	general, err := v.get(pathOf(schema.GeneralSettings, ""), nil)
	if err != nil {
		v.fail(err)
		return
	}
	source, err := v.newSection(sources, general, "ldapSource", "Import settings", "source.", "", nil,
		row{name: "baseDn", label: "Base distinguished name", help: "Where in the directory users are looked for, such as cn=Users,dc=example,dc=com."},
		row{name: "filter", label: "Filter", help: "Which users to import (RFC 4515), such as (&(mail=*)(objectClass=person))."},
		row{name: "nonMemberAccess", label: "Joining without being a member", names: map[string]string{"true": "allowed", "false": "not allowed without a passcode"},
			help: "For the spaces that the import makes from now on."})
	if err != nil {
		v.fail(err)
		return
	}
	// The server and the mapping of that source; without one the first there are.
	of := func(string) func(*node) bool { return nil }
	if source.id != "" {
		n, err := v.get(pathOf(sources, source.id), nil)
		if err != nil {
			v.fail(err)
			return
		}
		of = func(field string) func(*node) bool {
			return func(other *node) bool { return other.ID() == n.Get(field) }
		}
	}
	server, err := v.newSection(servers, general, "ldapServer", "Active Directory server", "server.", "", of("server"),
		row{name: "address", label: "Address", help: "Host name or IP address of the server."},
		row{name: "portNumber", label: "Port", help: "Usually 636 with a secure connection and 389 without."},
		row{name: "username", label: "Username", help: "The distinguished name of the account that reads the directory, such as cn=reader,cn=Users,dc=example,dc=com."},
		row{name: "password", label: "Password"},
		row{name: "secure", label: "Secure connection", names: yesNo,
			help: "The server's certificate is checked once “tls ldap verify enable” is set at the management shell."},
		row{name: "usePagedResults", label: "Results in pages", names: yesNo, help: "Choose no for Oracle Internet Directory."})
	if err != nil {
		v.fail(err)
		return
	}
	mapping, err := v.newSection(mappings, general, "ldapMapping", "Field mapping expressions", "mapping.", "", of("mapping"),
		row{name: "nameMapping", label: "Display name", help: "Such as $cn$."},
		row{name: "jidMapping", label: "Username", help: "Must be different for everybody, such as $sAMAccountName$@example.com."},
		row{name: "coSpaceNameMapping", label: "Space name", help: "Such as $cn$'s space."},
		row{name: "coSpaceUriMapping", label: "Space URI user part", help: "Such as $sAMAccountName$.space. Empty for no space of one's own."},
		row{name: "coSpaceSecondaryUriMapping", label: "Space secondary URI user part", help: "Such as a telephone number: $telephoneNumber$."},
		row{name: "coSpaceCallIdMapping", label: "Space call ID", help: "Digits by which guests join, such as 88$ipPhone$."})
	if err != nil {
		v.fail(err)
		return
	}
	corporate, err := v.newSingleton(schema.GeneralSettings, "Corporate directory settings", "general.",
		row{name: "restrictSearchToSearcherOu", label: "Restrict search to searcher OU", names: yesNo,
			help: "Whether people find only others of their own organisational unit."})
	if err != nil {
		v.fail(err)
		return
	}
	mapping.Intro = "Text, and LDAP attributes between two $ signs. They make the names of users and of their spaces."
	if source.Note != "" {
		source.Note = "There are several sources; “Sync now” imports from all of them."
	}
	server.Note, mapping.Note = "", ""
	p.Sections = []*section{server, corporate, source, mapping}
	p.Directory.Ready = source.id != ""
	if !v.posted() {
		if p.Directory.Syncs, err = v.syncs(); err != nil {
			v.fail(err)
			return
		}
		v.show("sections", "Active Directory", p)
		return
	}
	good := true
	for _, s := range p.Sections {
		s.Form.take(v.r.PostForm)
		good = s.check() && good
	}
	// The source names the other two.
	good = good && server.save(v) && mapping.save(v)
	if good {
		source.fixed = url.Values{"server": {server.id}, "mapping": {mapping.id}}
		good = source.save(v) && corporate.save(v)
	}
	if !good {
		for _, s := range p.Sections {
			if s.Form.bad() {
				s.Form.focus()
				break
			}
		}
		v.showStatus(http.StatusUnprocessableEntity, "sections", "Active Directory", p)
		return
	}
	v.went(v.r.URL.Path, "Active Directory: saved. Choose “Sync now” to import users.")
}

// syncs are the synchronisations that the API knows.
func (v *visit) syncs() ([]syncRow, error) {
	list, err := v.get(schema.Of("ldapSyncs").URLPath(), nil)
	if err != nil {
		return nil, err
	}
	var rows []syncRow
	for _, n := range list.Nodes {
		one, err := v.get(schema.Of("ldapSyncs").URLPath()+"/"+n.ID(), nil)
		if notFound(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		rows = append(rows, newSyncRow(one))
	}
	return rows, nil
}

func newSyncRow(n *node) syncRow {
	r := syncRow{ID: n.ID(), State: n.Get("state"), Users: n.number("numUsersImported"), Sources: n.number("numLdapSourcesComplete")}
	switch r.State {
	case "pending":
		r.Word = "Waiting"
	case "inProgress":
		r.Word = "Running"
	case "complete":
		r.Word, r.Over = "Complete", true
	case "failed":
		r.Word, r.Over = "Failed", true
		switch n.Get("failureReason") {
		case "clashOccurred":
			r.Detail = "Two entries of the directory would get the same user name, URI or call ID. The event log names them."
		case "ldapError":
			r.Detail = "The LDAP server refused, or could not be reached. Check its address, port, user name and password; the event log has its answer."
		case "ldapSourceDoesNotExist", "tenantDoesNotExist":
			r.Detail = "What it was to import from was deleted meanwhile."
		default:
			r.Detail = "The event log says why."
		}
	default:
		r.Word = upper(r.State)
	}
	return r
}

// syncNow starts an import from all sources.
func (v *visit) syncNow() {
	path := schema.Of("ldapSyncs").URLPath()
	v.own.Lock()
	defer v.own.Unlock()
	// Results of earlier ones that were started here have been seen.
	v.ownSyncs = slices.DeleteFunc(v.ownSyncs, func(id string) bool {
		n, err := v.get(path+"/"+id, nil)
		if err == nil && newSyncRow(n).Over {
			_, err = v.send(http.MethodDelete, path+"/"+id, nil)
			return err == nil
		}
		return notFound(err)
	})
	id, err := v.send(http.MethodPost, path, url.Values{"removeWhenFinished": {"false"}})
	if err != nil {
		v.problem(http.StatusConflict, "The import did not start", upper(publicly(err)))
		return
	}
	if len(v.ownSyncs) < maxOwnSyncs {
		v.ownSyncs = append(v.ownSyncs, id)
	}
	v.went("/configuration/directory/progress/"+url.PathEscape(id), "")
}

// syncProgress shows how far an import is; the page looks again by itself.
func (v *visit) syncProgress() {
	id := v.r.PathValue("id")
	n, err := v.get(schema.Of("ldapSyncs").URLPath()+"/"+url.PathEscape(id), nil)
	if notFound(err) {
		v.show("progress", "Import of users", syncRow{ID: id, State: "gone", Word: "Finished", Detail: "Its result was cleared. Status > Users lists who was imported.", Over: true})
		return
	}
	if err != nil {
		v.fail(err)
		return
	}
	r := newSyncRow(n)
	if r.Detail == "" && r.Over {
		r.Detail = strconv.FormatInt(r.Users, 10) + " users are imported."
	}
	v.show("progress", "Import of users", r)
}
