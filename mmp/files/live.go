package files

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"strconv"
	"strings"

	"rotunda/init/config"
	"rotunda/init/control"
)

// Machine is what live.json and log bundles are made of. [control.Machine] has it.
type Machine interface {
	Config(ctx context.Context) (control.Config, error)
	Interfaces(ctx context.Context) ([]control.Interface, error)
	Release(ctx context.Context) (control.Release, error)
	Versions(ctx context.Context) ([]control.Version, error)
	Health(ctx context.Context) (control.Health, error)
	Filesystems(ctx context.Context) ([]control.Filesystem, error)
	Traces(ctx context.Context) (control.Traces, error)
}

// kernelNames are how live.json calls the interfaces. The order is that of the machines that the layout comes from, and
// tools depend on it: a is eth4.
var kernelNames = map[string]string{"a": "eth4", "b": "eth3", "c": "eth2", "d": "eth1"}

// tree is one level of live.json, whose leaves are strings.
type tree map[string]any

// LiveJSON mirrors the running configuration. All values are strings, as tools expect them.
func LiveJSON(c control.Config, interfaces []control.Interface) ([]byte, error) {
	doc := c.Document
	if doc == nil {
		return nil, fmt.Errorf("make %s: there is no configuration", liveName)
	}
	mac := map[string]string{}
	for _, i := range interfaces {
		mac[i.Name] = i.MAC
	}
	v4, v6 := tree{}, tree{}
	for _, name := range config.InterfaceNames {
		i, ok := doc.Interfaces[name]
		if !ok && mac[name] == "" {
			continue
		}
		byDefault := strconv.FormatBool(name == doc.DefaultInterface)
		four := tree{
			"dhcp": strconv.FormatBool(i.IPv4.DHCP), "enabled": strconv.FormatBool(i.IPv4.Enabled), "default": byDefault,
			"macaddress": mac[name], "routes": routes(i.IPv4),
		}
		if i.IPv4.Address.IsValid() {
			four["address"] = i.IPv4.Address.Addr().String()
			four["prefixlen"] = strconv.Itoa(i.IPv4.Address.Bits())
		}
		if i.IPv4.Gateway.IsValid() {
			four["gateway"] = i.IPv4.Gateway.String()
		}
		if i.MTU != 0 {
			four["mtu"] = strconv.Itoa(i.MTU)
		}
		six := tree{
			"enabled": strconv.FormatBool(i.IPv6.Enabled), "slaac": strconv.FormatBool(i.IPv6.SLAAC), "default": byDefault,
			"macaddress": mac[name],
		}
		addresses := tree{}
		for _, p := range i.IPv6.Addresses {
			addresses[key(p.String())] = tree{"address": p.Addr().String(), "prefixlen": strconv.Itoa(p.Bits())}
		}
		routers := tree{}
		for _, a := range i.IPv6.Routers {
			routers[key(a.String())] = tree{"address": a.String()}
		}
		six["addresses"], six["routers"] = addresses, routers
		v4[kernelNames[name]], v6[kernelNames[name]] = four, six
	}
	module := func(interfaces tree) tree { return tree{"module": tree{"interfaces": interfaces}} }
	all, err := others(doc)
	if err != nil {
		return nil, fmt.Errorf("make %s: %w", liveName, err)
	}
	maps.Copy(all, tree{
		"hostname": doc.Hostname, "timezone": doc.Timezone, "generation": strconv.Itoa(c.Generation),
		"ipv4": module(v4), "ipv6": module(v6),
	})
	data, err := json.MarshalIndent(all, "", "    ")
	if err != nil {
		return nil, fmt.Errorf("make %s: %w", liveName, err)
	}
	return append(data, '\n'), nil
}

// others are all settings that have no layout of their own here, without secrets: each under its name in the configuration.
func others(doc *config.Document) (tree, error) {
	open, err := doc.WithoutSecrets()
	if err != nil {
		return nil, err
	}
	open.Interfaces = nil
	b, err := json.Marshal(open)
	if err != nil {
		return nil, err
	}
	var sections map[string]any
	if err := json.Unmarshal(b, &sections); err != nil {
		return nil, err
	}
	t := tree{}
	for name, content := range sections {
		if _, is := content.(map[string]any); is {
			t[strings.ToLower(name)] = tree{"module": strung(content)}
		}
	}
	return t, nil
}

// strung makes every leaf a string, and a list what has its positions as names.
func strung(v any) any {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case bool:
		return strconv.FormatBool(v)
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case []any:
		t := tree{}
		for n, one := range v {
			t[strconv.Itoa(n)] = strung(one)
		}
		return t
	case map[string]any:
		t := tree{}
		for name, one := range v {
			t[key(name)] = strung(one)
		}
		return t
	}
	return fmt.Sprint(v)
}

func routes(i config.IPv4) tree {
	t := tree{}
	for _, p := range i.Routes {
		t[key(p.String())] = tree{"address": p.Addr().String(), "prefixlen": strconv.Itoa(p.Bits())}
	}
	return t
}

// key turns 8.8.8.8/32 into 8=8=8=8-32: the layout has no dots and slashes in keys.
func key(s string) string { return strings.NewReplacer(".", "=", "/", "-").Replace(s) }
