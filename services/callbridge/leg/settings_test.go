package leg

import (
	"testing"

	"github.com/google/uuid"

	"rotunda/services/callbridge/profiles"
	"rotunda/services/callbridge/schema"
	"rotunda/services/callbridge/sdp"
	"rotunda/services/callbridge/store"
	"rotunda/services/database/databasetest"
)

func TestSettingsAreThoseOfTheNearestThatSaysSomething(t *testing.T) {
	objects := openStore(t)
	write := func(o *schema.Object, fields map[string]string) (id store.ID) {
		t.Helper()
		if err := objects.Write(t.Context(), func(tx *store.Tx) error {
			d := tx.New(o, store.ID{})
			if o.Singleton {
				d = tx.Edit(tx.Only(o))
			}
			for name, v := range fields {
				d.Set(name, v)
			}
			id = d.ID()
			return tx.Put(d)
		}); err != nil {
			t.Fatal(err)
		}
		return id
	}
	global := profiles.ForLeg(objects, profiles.Leg{})
	s := SettingsOf(objects, global, false)
	if s.Encryption != sdp.Optional || !s.Video || !s.Presentation || s.Floor != sdp.ServerOnly || !s.Camera || s.PacketTime != 20 || s.SendBandwidth != 2_500_000 || s.ReceiveBandwidth != 2_500_000 {
		t.Errorf("want the fallbacks, got %+v", s)
	}
	write(schema.CallSettings, map[string]string{"sipMediaEncryption": "required", "audioPacketSizeMs": "40", "sipTransmitBandwidth": "4000000", "resourcePriority": "q735.3", "bfcpMode": "serverAndClient"})
	s = SettingsOf(objects, global, false)
	if s.Encryption != sdp.Required || s.PacketTime != 40 || s.SendBandwidth != 4_000_000 || s.ReceiveBandwidth != 2_500_000 || s.ResourcePriority != "q735.3" || s.Floor != sdp.ServerAndClient {
		t.Errorf("want those of the page, got %+v", s)
	}
	own := profiles.ForLeg(objects, profiles.Leg{Own: profiles.Settings{Fields: map[string]string{"sipMediaEncryption": "prohibited", "audioPacketSizeMs": "10", "qualityMain": "max480p30",
		"videoMode": "disabled", "bfcpMode": "serverOnly", "presentationDisplayMode": "singleStream"}}})
	s = SettingsOf(objects, own, false)
	if s.Encryption != sdp.Prohibited || s.PacketTime != 10 || s.Main != sdp.MainQuality("max480p30") || s.Video || s.Presentation || s.Floor != sdp.ServerOnly {
		t.Errorf("want those of the leg, got %+v", s)
	}
	if s = SettingsOf(objects, global, true); s.Encryption != sdp.Prohibited || !s.Unencrypted {
		t.Errorf("the licence has no encrypted media, got %+v", s.Encryption)
	}
	profile := write(schema.CompatibilityProfile, map[string]string{"sipMediaPayloadTypeMode": "broadsoft", "h264CHPMode": "basic", "sipH224": "false"})
	write(schema.Profiles, map[string]string{"compatibilityProfile": profile.String()})
	if s = SettingsOf(objects, global, false); s.H264PayloadType != 109 || !s.BasicH264 || s.Camera {
		t.Errorf("want those of the compatibility profile, got %+v", s)
	}
}

func TestPacketTimesThatTheEngineSends(t *testing.T) {
	for ms, want := range map[int]int{0: 20, 10: 10, 15: 10, 20: 20, 30: 20, 40: 40, 60: 40} {
		if got := packetTime(ms); got != want {
			t.Errorf("%d ms: want %d, got %d", ms, want, got)
		}
	}
}

func openStore(t *testing.T) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), store.Options{Client: databasetest.Start(t), Machine: uuid.New()})
	if err != nil {
		t.Fatal(err)
	}
	return s
}
