"""Texts that a converted model is calibrated with (int8) and compared on; made up for this purpose."""

from __future__ import annotations

_PASSAGES = (
    "To rotate the access key, open the console, choose the service account, and select Create key. "
    "Copy the secret at once, since it is shown only this time. Update the deployment that uses the "
    "old key, wait until no request has been signed with it for a day, and then deactivate it. "
    "Delete it after a week.",
    "Employees accrue two and a half days of paid leave for each full month of service. Unused days "
    "may be carried over to the end of March of the following year; whatever remains then is "
    "forfeited unless the manager asked for the leave to be postponed in writing. Part-time "
    "contracts are counted pro rata.",
    "# Restoring a backup\n\n1. Stop the writer: `systemctl stop ledger`.\n2. Fetch the newest "
    "archive:\n\n```bash\naws s3 cp s3://backups/ledger/2026-03-01.tar.zst . && tar --zstd -xf "
    "2026-03-01.tar.zst\n```\n\n3. Run `ledger verify --deep` and compare the row counts with the "
    "monitoring page before starting again.",
    "The trial enrolled 412 patients with moderate hypertension at eleven centres. After twelve "
    "weeks the mean systolic pressure fell by 9.4 mmHg (95% CI 7.1 to 11.7) in the treatment arm and "
    "by 2.2 mmHg in the placebo arm. Dizziness was reported by 6% and 4% of the participants; no "
    "serious adverse event was attributed to it.",
    "| Region | Q1 | Q2 | Q3 | Q4 |\n|---|---:|---:|---:|---:|\n| North | 1,204 | 1,377 | 1,190 | "
    "1,644 |\n| South | 884 | 902 | 951 | 1,020 |\n| Export | 3,310 | 3,287 | 3,642 | 4,105 |\n\n"
    "Figures are in thousands of euros, before currency effects. Export includes the joint venture "
    "from the third quarter on.",
    "def retry(call, attempts=5, base=0.5):\n    for attempt in range(attempts):\n        "
    "try:\n            return call()\n        except TimeoutError:\n            if attempt + 1 == "
    "attempts:\n                raise\n            time.sleep(base * 2 ** attempt + "
    "random.random())\n\nThe delay doubles with every attempt, and a random part keeps many clients "
    "from coming back at the same moment.",
    "Hi Marta, thanks for the quick reply. The second pump on line 4 still trips after about twenty "
    "minutes; the thermal switch reads 92 degrees although the housing is barely warm. We swapped "
    "the sensor this morning without any change. Could you check whether the firmware from May has a "
    "known issue there? Best, Jonas",
    "The Supplier shall indemnify the Customer against all losses arising from third-party claims "
    "that the Software infringes an intellectual property right, provided that the Customer notifies "
    "the Supplier without undue delay, leaves the defence to the Supplier, and makes no admission. "
    "Liability is limited to the fees of twelve months.",
    "Glaciers carve valleys with a broad, U-shaped section, whereas rivers cut narrow ones. Where a "
    "side valley joins a deeper main valley, a waterfall often marks the step between the two. "
    "Moraines of unsorted rock show how far the ice once reached, and fine loess was blown from the "
    "outwash plains far to the east.",
    "Error 0x8007232B: DNS name does not exist. The activation server cannot be found by name. Make "
    "sure that the machine is joined to the domain and that the SRV record _vlmcs._tcp is published; "
    "otherwise set the host by hand with slmgr.vbs /skms kms01.corp.example:1688 and try /ato again. "
    "Firewalls must allow port 1688 outbound.",
    "Preheat the oven to 220 degrees. Knead the flour, water, yeast and salt for ten minutes until "
    "the dough is smooth, cover it and let it rise for two hours. Shape two loaves, score them, and "
    "bake them on a hot stone for 25 minutes with a bowl of water beside them for the crust. Cool on "
    "a rack before slicing.",
    "A transaction isolates its reads by taking a snapshot when it starts. Two concurrent "
    "transactions that update the same row conflict: the second one to commit fails with a "
    "serialization error and must be run again from the start. Long transactions keep old row "
    "versions alive, so that vacuum cannot reclaim their space.",
    "The museum was founded in 1887 by a textile merchant who left his collection of maps, globes "
    "and instruments to the city. After the fire of 1923 only a third of it could be saved. The "
    "present building, by the architect Elsa Lindqvist, opened in 1961 and was extended with a "
    "glass-roofed courtyard in 2008.",
    "Das Gerät darf nur von geschultem Personal geöffnet werden. Trennen Sie es vorher vom Netz und "
    "warten Sie fünf Minuten, bis die Kondensatoren entladen sind. Defekte Sicherungen sind "
    "ausschließlich durch solche gleichen Typs zu ersetzen.",
    "La demande de remboursement doit parvenir au service comptable dans les trente jours, "
    "accompagnée des justificatifs originaux. Les frais de taxi ne sont pris en charge qu'en "
    "l'absence de transports en commun.",
    "Kubernetes restarts a container whose liveness probe fails failureThreshold times in a row. A "
    "readiness probe that fails only takes the pod out of the service's endpoints. Slow starters "
    "need a startup probe, or the kubelet kills them before they answer. Set initialDelaySeconds "
    "generously, and never let a probe depend on another service.",
)  # fmt: skip

CALIBRATION = (
    *_PASSAGES,
    *("\n\n".join((_PASSAGES[i], _PASSAGES[(i + 5) % 16], _PASSAGES[(i + 9) % 16])) for i in range(16)),
    "How do I rotate an access key?",
    "remaining vacation days after March",
    "error 0x8007232B activation",
    "Who extended the museum in 2008?",
    "",
    "x",
    "repeat " * 300,
    "0.00 1.25 0.00 3.75 " * 20,
    "| - | - | - | - |\n" * 30,
)
"""Passages, some long enough to fill 256 tokens, questions, and texts that say nothing: what occurs."""

PROBES = (
    "What does the warranty cover after the second year?",
    "The invoice is payable within thirty days of receipt without deduction. Late payments bear interest at five "
    "percentage points above the base rate; partial deliveries are invoiced separately and fall due on their own.",
    "backup",
    "kubectl get pods -n billing --field-selector=status.phase!=Running -o wide | sort -k5 -n",
    "Photosynthesis converts light into chemical energy that the plant stores as sugar.",
    "Wie beantrage ich Elternzeit, und welche Fristen gelten dabei?",
    "项目文档应当随代码一起更新。",
    "Deploys are frozen from 20 December to 2 January 🎄; ask the on-call lead (☎ 4711) for exceptions.",
    "{\"retries\": 3, \"timeout\": \"30s\", \"endpoints\": [\"10.0.0.1:9092\", \"10.0.0.2:9092\"]}",
    "In the matter of the lease, the tenant gave notice on 3 May. " * 4,
    "The reactor is cooled by two independent loops. Each has three pumps, of which two suffice at full load. " * 6,
    "A queue that grows faster than it is drained fails late and all at once; measure its age, not its length. " * 16,
    "1 2 3 5 8 13 21 34 55 89 144",
    "ÅNGSTRÖM naïve façade coöperate Łódź São Paulo",
    "Question: may a contractor read confidential pages?\nAnswer: only with a signed agreement and a sponsor.",
    "| id | name | state |\n|---|---|---|\n| 7 | pump | open |\n| 8 | valve | shut |\n| 9 | fan | open |",
)  # fmt: skip
"""Short, long, beyond 256 tokens, code, tables, other scripts: batched together, so that padding matters."""
