/* calendar.h - days since 1970-01-01 and the proleptic Gregorian date, both ways. Private to base.
 */
#ifndef FLASHGATE_CORE_BASE_CALENDAR_H
#define FLASHGATE_CORE_BASE_CALENDAR_H

#include <stdbool.h>
#include <stdint.h>

bool fg_calendar_is_date(int year, int month, int day); /* a day that exists, from 1970 on */
int64_t fg_calendar_days(int year, int month, int day);
void fg_calendar_date(int64_t days, int *year_r, int *month_r, int *day_r);

#endif
