package callbridge

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"rotunda/init/durable"
	file "rotunda/init/licence"
	"rotunda/services/callbridge/api"
	"rotunda/services/callbridge/failure"
	"rotunda/services/callbridge/licence"
	"rotunda/services/callbridge/profiles"
	"rotunda/services/callbridge/schema"
	"rotunda/services/callbridge/store"
)

// licences is what the API shows of licences and their use.
type licences struct {
	*licence.Licensing
	archive *licence.Archive
	disk    *durable.Disk
	host    string
	// usage is what calls use now.
	usage func() licence.Usage
}

// openLicences reads what there is in the Call Bridge's folder.
func (b *bridge) openLicences(folder string) (*licences, error) {
	path := filepath.Join(folder, "licences")
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of licences: %w", err)
	}
	disk, err := durable.OpenDisk(path)
	if err != nil {
		return nil, fmt.Errorf("open the folder of licences: %w", err)
	}
	archive, err := licence.OpenArchive(disk, time.Now(), b.log)
	if err != nil {
		disk.Close()
		return nil, err
	}
	keys, err := file.Keys(file.KeyFolder)
	if err != nil {
		// Without a key no file counts, and the Call Bridge runs on.
		b.log.Error("no licence file can be verified", "error", err)
	}
	host := b.machine.String()
	return &licences{
		Licensing: licence.Open(licence.Options{Keys: keys, Hosts: licence.ThisHost(host), Shelf: licence.FileShelf{FS: disk}, Log: b.log}),
		archive:   archive, disk: disk, host: host, usage: func() licence.Usage { return b.calls.live.Usage() },
	}, nil
}

func (l *licences) close() { l.disk.Close() }

// hookLicences puts what licences forbid onto the API.
func (b *bridge) hookLicences() {
	encryption := func(_ *store.Tx, d *store.Draft, _ map[string]string) error {
		v := d.Text("sipMediaEncryption")
		if d.Changed("sipMediaEncryption") && v != "" && v != "prohibited" && b.licences.Enforcement().UnencryptedMedia {
			return &failure.Parameter{Name: "sipMediaEncryption", Fault: failure.Invalid,
				Why: "the licence is one without encryption of SIP media: use prohibited, or unset it"}
		}
		return nil
	}
	b.api.Hook(schema.CallLegProfile, api.Hooks{Prepare: encryption})
	b.api.Hook(schema.CallSettings, api.Hooks{Prepare: encryption})
	b.api.HandleDocument(http.MethodPut, "clusterLicensing/raw", func(c *api.Call) (api.Answer, error) {
		if err := b.licences.SetCluster(c.Body); err != nil {
			return api.Answer{}, &failure.Parameter{Name: "features", Fault: failure.Invalid, Why: err.Error()}
		}
		c.Audit("modified clusterLicensing")
		return api.Answer{Location: c.Path}, nil
	})
}

// runLicences takes a snapshot every five minutes.
func (b *bridge) runLicences(ctx context.Context, v store.View) {
	b.licences.archive.Run(ctx, func(at time.Time) licence.Snapshot {
		return licence.Take(at, b.licences.host, b.licences.usage(), licensed(v))
	})
}

// licensed counts the users with a personal licence. What is in force differs by profile and tenant, of which there are few.
func licensed(v store.View) int {
	n := 0
	has := map[[2]string]bool{}
	v.Each(schema.User, func(u *store.Record) bool {
		key := [2]string{u.Text("userProfile"), u.Text("tenant")}
		yes, known := has[key]
		if !known {
			yes = profiles.ForUser(v, u).Bool("hasLicense")
			has[key] = yes
		}
		if yes {
			n++
		}
		return true
	})
	return n
}

func features(states []file.State) []api.Feature {
	var list []api.Feature
	for _, s := range states {
		list = append(list, api.Feature{Name: s.API, Status: string(s.Status), Expiry: s.Expiry, Limit: limit(s.Limit), Level: s.Level})
	}
	return list
}

// limit is "" for none.
func limit(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

// Features implements [api.Licensing].
func (l *licences) Features() []api.Feature { return features(l.Licensing.Features()) }

// Cluster implements [api.Licensing].
func (l *licences) Cluster() []api.Feature { return features(l.Licensing.Cluster()) }

// Multiparty implements [api.Licensing].
func (l *licences) Multiparty(v store.View) api.Multiparty {
	u := l.usage()
	return api.Multiparty{
		PersonalLimit: limit(l.Limit("personal")), SharedLimit: limit(l.Limit("shared")), CapacityUnitLimit: limit(l.Limit("capacityUnits")),
		Users: v.Count(schema.User), PersonalLicenses: licensed(v),
		ParticipantsActive: u.Participants, CallsActive: u.Calls, WeightedCallsActive: u.Weighted,
		CallsWithoutPersonal: u.Shared, WeightedCallsWithoutPersonal: u.SharedWeighted,
	}
}

// Personal implements [api.Licensing].
func (l *licences) Personal() []api.PersonalUse {
	var list []api.PersonalUse
	for _, p := range l.usage().Personal {
		list = append(list, api.PersonalUse{User: p.User, CallsActive: p.Calls, WeightedCallsActive: p.Weighted})
	}
	return list
}

// Usage implements [api.Licensing].
func (l *licences) Usage(from, to time.Time, host string, offset, most int) (int, []api.UsageSnapshot) {
	total, page := l.archive.Query(from, to, host, offset, most)
	var list []api.UsageSnapshot
	for _, s := range page {
		one := api.UsageSnapshot{At: s.At, Host: s.Host}
		for _, v := range s.Values() {
			one.Values = append(one.Values, api.Text(v.Name, v.Text))
		}
		list = append(list, one)
	}
	return total, list
}

// Hosts implements [api.Licensing].
func (l *licences) Hosts() []string { return l.archive.Hosts() }
