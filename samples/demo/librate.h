/* SPDX-License-Identifier: GPL-2.0 */
#ifndef LIBRATE_H
#define LIBRATE_H

int rate(int amount);
const char *currency(void);

#endif /* LIBRATE_H */
