package callbridge

import (
	"context"
	"crypto/x509"
	"errors"

	"rotunda/init/config"
	"rotunda/services/callbridge/api"
	"rotunda/services/callbridge/directory"
	"rotunda/services/callbridge/schema"
	"rotunda/services/callbridge/store"
)

// hookDirectory puts the rules of imports onto the API. The importer gets its store before the API does.
func (b *bridge) hookDirectory() {
	b.importer = directory.New(directory.Options{Machine: b.machine, TLS: func() directory.TLS { return directoryTLS(b.current().LDAP) }, Log: b.log})
	for _, h := range []struct {
		object  *schema.Object
		prepare func(*store.Tx, *store.Draft, map[string]string) error
		remove  func(*store.Tx, *store.Record) error
	}{
		{schema.LDAPMapping, directory.PrepareMapping, nil},
		{schema.LDAPSource, directory.PrepareSource, nil},
		{schema.LDAPUserCoSpaceTemplateSource, directory.PrepareTemplateSource, nil},
		{schema.DirectorySearchLocation, directory.PrepareSearchLocation, nil},
		{schema.LDAPSync, b.importer.PrepareSync, b.importer.RemoveSync},
	} {
		b.api.Hook(h.object, api.Hooks{Prepare: h.prepare, Remove: h.remove})
	}
}

// runDirectory carries out imports.
func (b *bridge) runDirectory(ctx context.Context) error {
	if err := b.importer.Run(ctx); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// directoryTLS is what "tls ldap" says.
func directoryTLS(k config.TLSKindService) directory.TLS {
	t := directory.TLS{Verify: k.Verify != config.VerifyOff, OCSP: k.Verify == config.VerifyOCSP, Min: k.Version()}
	if k.Trust != "" {
		t.Roots = x509.NewCertPool()
		t.Roots.AppendCertsFromPEM([]byte(k.Trust))
	}
	return t
}
