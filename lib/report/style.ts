/** The report's style sheet: light and dark, screen and paper, no outside font. */
export const STYLE = `
:root{color-scheme:light dark;--page:#fff;--ink:#1b2430;--soft:#566273;--rule:#d9dee6;--panel:#f6f7f9;
--good:#17693a;--bad:#b3261e;--demand:#1b2430;--out:#f2b84b;--stay:#7d8ea3;--home:#3aa99a;--apply:#5f6b7a;
--s0:#2463b4;--s1:#d06a10;--s2:#2d8a57;--s3:#8a4fb5;--s4:#b03a66;--s5:#6b6b2a;
--a0:#bdd0e8;--a1:#f1d2b7;--a2:#c0dccd;--a3:#dccae9;--a4:#e7c4d1;--a5:#d3d3bf;--p50:#2463b4;--p95:#a0408c}
@media (prefers-color-scheme:dark){:root{--page:#12161c;--ink:#e7ebf1;--soft:#9fabba;--rule:#343d49;--panel:#1b212a;
--good:#6fcf97;--bad:#ff8a80;--demand:#f2f4f7;--out:#c8912c;--stay:#6d7d92;--home:#37988b;--apply:#8a97a8;
--s0:#6aa5f0;--s1:#f09a4a;--s2:#6cc494;--s3:#bd93e0;--s4:#e487a8;--s5:#c4c46a;
--a0:#304764;--a1:#5d432c;--a2:#315145;--a3:#4c405f;--a4:#593c4c;--a5:#4f5137;--p50:#6aa5f0;--p95:#e08fd0}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif}
main{max-width:1240px;margin:0 auto;padding:28px 28px 48px}
h1{font-size:26px;line-height:1.2;margin:0 0 4px}
h2{font-size:18px;margin:36px 0 8px}
p{margin:4px 0}
.soft,.unit{color:var(--soft)}
.verdict{margin:14px 0 0;padding:10px 14px;border-left:4px solid var(--good);background:var(--panel);font-weight:600}
.verdict.bad{border-color:var(--bad)}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:10px;margin:16px 0 8px;padding:0}
.tile{background:var(--panel);border:1px solid var(--rule);border-radius:6px;padding:9px 12px;margin:0}
.tile dt{color:var(--soft);font-size:13px}
.tile dd{margin:0;font-size:22px;font-weight:650;font-variant-numeric:tabular-nums;line-height:1.3}
.tile .more{display:block;font-size:12.5px;font-weight:400;color:var(--soft);line-height:1.35}
.good{color:var(--good)}.bad{color:var(--bad)}
figure{margin:22px 0 0}
figcaption{display:flex;flex-wrap:wrap;gap:2px 18px;justify-content:space-between;align-items:baseline;margin-bottom:8px}
figcaption .name{font-weight:650}
.unit{font-weight:400;font-size:13.5px}
.legend{display:flex;flex-wrap:wrap;gap:2px 16px;font-size:13.5px}
.key{display:inline-flex;align-items:center;gap:6px}
.swatch{display:block}
.box{width:18px;height:10px;border-radius:2px;display:inline-block}
span.disc{display:inline-block;width:16px;height:16px;border-radius:50%;background:var(--ink);color:var(--page);font-size:11px;line-height:16px;text-align:center;font-weight:650}
.box.out{background:var(--out)}.box.stay{background:var(--stay)}.box.home{background:var(--home)}
.plot{padding:10px 16px 0 74px}
.plot>svg{display:block;overflow:visible}
svg text{font-size:12.5px;fill:var(--soft);font-variant-numeric:tabular-nums}
svg .took{fill:var(--ink);paint-order:stroke;stroke:var(--page);stroke-width:4px;stroke-linejoin:round}
.weights{white-space:nowrap}
.grid{stroke:var(--soft);stroke-width:1;opacity:.22}
.axis{stroke:var(--soft);stroke-width:1}
.decision{stroke:var(--ink);stroke-width:1;stroke-dasharray:2 3;opacity:.65}
circle.disc{fill:var(--ink)}
svg .disc-number{fill:var(--page);font-size:11px;font-weight:650}
.band.out{fill:var(--out);opacity:.15}.band.stay{fill:none}.band.home{fill:var(--home);opacity:.13}
.strip.out{fill:var(--out)}.strip.stay{fill:var(--stay)}.strip.home{fill:var(--home)}
.bar.out{fill:var(--out)}.bar.stay{fill:var(--stay)}.bar.home{fill:var(--home)}.bar.apply{fill:var(--apply)}.bar.stopped{fill:none;stroke:var(--apply);stroke-width:1.5}.bar.failed{fill:var(--bad)}
.area{stroke:none}
.line{fill:none;stroke-width:1.75;vector-effect:non-scaling-stroke;stroke-linejoin:round}
.dashed{stroke-dasharray:5 4}
.line.demand{stroke:var(--demand);stroke-width:2.25}.line.failed{stroke:var(--bad);stroke-width:2.25}
.line.p50{stroke:var(--p50)}.line.p95{stroke:var(--p95)}
${[0, 1, 2, 3, 4, 5].map((index) => `.area.site-${index}{fill:var(--a${index})}.line.site-${index}{stroke:var(--s${index})}`).join("\n")}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:14px;font-variant-numeric:tabular-nums}
caption{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
th,td{text-align:left;vertical-align:top;padding:6px 14px 6px 0;border-bottom:1px solid var(--rule)}
th{color:var(--soft);font-weight:600;font-size:13px;white-space:nowrap}
th:last-child{width:99%}
table.compact{width:auto}table.compact th:last-child{width:auto}
td.number,th.number{text-align:right;white-space:nowrap}
.reason{min-width:240px}
details{margin-top:28px}
summary{cursor:pointer;font-weight:600}
ul{margin:6px 0;padding-left:20px}
footer{margin-top:36px;padding-top:10px;border-top:1px solid var(--rule);color:var(--soft);font-size:13px}
@media (max-width:760px){main{padding:18px 14px 32px}.wide-only{display:none}.tiles{grid-template-columns:repeat(auto-fit,minmax(130px,1fr))}.plot{padding-right:10px}}
@media print{:root{color-scheme:light;--page:#fff;--ink:#000;--soft:#444;--rule:#bbb;--panel:#fff;--demand:#000;--good:#17693a;--bad:#b3261e;
--out:#f2b84b;--stay:#7d8ea3;--home:#3aa99a;--apply:#5f6b7a;--s0:#2463b4;--s1:#d06a10;--s2:#2d8a57;--s3:#8a4fb5;--s4:#b03a66;--s5:#6b6b2a;
--a0:#bdd0e8;--a1:#f1d2b7;--a2:#c0dccd;--a3:#dccae9;--a4:#e7c4d1;--a5:#d3d3bf;--p50:#2463b4;--p95:#a0408c}
body{font-size:11px;-webkit-print-color-adjust:exact;print-color-adjust:exact}main{max-width:none;padding:0}h1{font-size:19px}h2{font-size:14px;margin-top:18px}.tiles{grid-template-columns:repeat(7,1fr);gap:5px}.tile{padding:4px 6px}.tile dt,.tile .more{font-size:10px}.tile dd{font-size:15px}
figure{margin-top:10px}.legend,.unit,table,th,footer{font-size:11px}svg text{font-size:10.5px}th,td{padding:2px 10px 2px 0}figure,.tile,tr{break-inside:avoid}details{display:none}h2{break-after:avoid}}
`;
