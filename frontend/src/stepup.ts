// The script of every page: it only enhances forms that the server understands without it.

import { joinGroups } from "./code";
import { offerCopies, offerDownload, offerPrint } from "./copies";
import { startCountdown } from "./countdown";
import { submitOnce } from "./once";
import { all, first } from "./page";
import { offerPasskey } from "./passkey";
import { tellPasswordManager } from "./signals";

// The ceremony first: it holds a form back, and what was held back was not sent.
for (const form of all<HTMLFormElement>("form[data-su-passkey]")) offerPasskey(form);
for (const form of all<HTMLFormElement>("form[data-su-once]")) submitOnce(form);
for (const field of all<HTMLInputElement>("input[data-su-digits]")) joinGroups(field);
for (const time of all("[data-su-countdown]")) startCountdown(time);
offerCopies();
offerDownload();
offerPrint();
void tellPasswordManager();
first<HTMLAnchorElement>("a[data-su-continue]")?.click();
first<HTMLFormElement>("form[data-su-continue]")?.requestSubmit();
