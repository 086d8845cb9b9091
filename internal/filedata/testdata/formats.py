"""Writes the same customers as people have them: formats.py FOLDER"""
import datetime, random, sys
import pandas as pd

random.seed(5)
rows = []
for i in range(400):
    rows.append(dict(
        age=random.randint(18, 79), fee=round(random.uniform(500, 4000), 2), share=random.randint(0, 1000),
        plan=random.choice(["Économique", "Premium", "Société"]),
        since=datetime.date(2023, 1, 1) + datetime.timedelta(random.randint(0, 899)),
        vip=random.random() < 0.2, left=random.choice(["yes", "no"]),
        visits=None if i % 40 == 7 else random.randint(0, 9)))
data = pd.DataFrame(rows).astype({"visits": "Int64"})
out = sys.argv[1] + "/"

plain = data.assign(share=[f"{s / 10:.1f}%" for s in data.share], vip=data.vip.map({True: "true", False: "false"}))
plain.to_csv(out + "plain.csv", index=False)
plain.to_csv(out + "index.csv")
plain.to_csv(out + "utf-16.csv", index=False, encoding="utf-16")
plain.to_csv(out + "tabs.txt", index=False, sep="\t", quoting=1)
plain.to_csv(out + "bars.txt", index=False, sep="|", lineterminator="\r\n")
plain.to_csv(out + "returns.csv", index=False, lineterminator="\r")
for packed in ["gz", "bz2", "zip", "zst"]:
    plain.to_csv(out + "packed.csv." + packed, index=False)
french = plain.assign(
    fee=[f"{x:,.2f} €".replace(",", "\u00a0").replace(".", ",") for x in data.fee],
    share=[f"{s / 10:.1f} %".replace(".", ",") for s in data.share],
    since=[d.strftime("%d/%m/%Y") for d in data.since])
for name, encoding in [("french-1252.csv", "cp1252"), ("french-bom.csv", "utf-8-sig")]:
    french.to_csv(out + name, index=False, sep=";", encoding=encoding, lineterminator="\r\n")
numbers = data.assign(share=[round(s / 1000, 3) for s in data.share])
with pd.ExcelWriter(out + "book.xlsx", engine="openpyxl") as book:
    numbers.to_excel(book, sheet_name="Clients", index=False)
    sheet = book.sheets["Clients"]
    for column, form in [("C", "0.0%"), ("E", "dd/mm/yyyy")]:
        for cell in sheet[column][1:]:
            cell.number_format = form
for name, compression in [("table.parquet", "snappy"), ("zstd.parquet", "zstd")]:
    numbers.astype({"plan": "category"}).to_parquet(out + name, index=False, compression=compression, row_group_size=150)
